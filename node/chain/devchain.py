"""The embedded chain: py-evm with the rules of Prague, for the demo and for tests.

Not a test double: roots, receipts, proofs and gas are those of a real chain, and every role talks to it by JSON-RPC
(`devchain_rpc.py`) as it would to any other. What it has not is consensus: one process writes the blocks, they are
replaced only where somebody asks for that, and `finalized` is the newest block less a lag, which the operator chooses.

Rules of time: a block is later than its parent (Yellow Paper section 4.3.4) and never later than the clock.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.chain.devchain_store import ChainStore, MinedLog, MinedTransaction, PendingTransaction
from node.chain.pyevm import (
    BLANK_ROOT_HASH,
    HISTORY_STORAGE_ADDRESS,
    HISTORY_STORAGE_CONTRACT_CODE,
    ZERO_ADDRESS,
    ZERO_HASH32,
    AtomicDB,
    ChainContext,
    Computation,
    Header,
    HexaryTrie,
    Message,
    MiningChain,
    PragueVM,
    PrivateKey,
    Receipt,
    Revert,
    SchemaV1,
    SpoofTransaction,
    State,
    Transaction,
    ValidationError,
    VMError,
    rlp,
)
from node.core.errors import BonafidesError, Conflict, Misconfigured, NotFound, Refused
from node.core.evm.keccak import keccak256
from node.core.evm.registry import CREATE2_DEPLOYER

GAS_LIMIT: Final = 30_000_000
FAUCET_WEI: Final = 10**27
FAUCET_FILE: Final = "faucet.key"
_STORE_FILE: Final = "chain.sqlite"

MAX_POOL: Final = 4096
MAX_TRANSACTION_BYTES: Final = 128 * 1024
# How far ahead of the account a nonce may lie; what lies further is a mistake of the sender.
MAX_NONCE_GAP: Final = 64
# A replacement must raise both fees by a tenth, as in other nodes' pools: else the pool could be churned for nothing.
_REPLACEMENT_PERCENT: Final = 110

# The runtime code that the deterministic deployer has on every public chain. It stands in the genesis because the
# transaction that deploys it is bound to no chain id, and such are refused here.
_CREATE2_DEPLOYER_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f5801515"
    "6039578182fd5b8082525050506014600cf3"
)


class CallReverted(BonafidesError):
    """A call or an estimate ended in REVERT; `data` is what the contract returned."""

    def __init__(self, data: bytes) -> None:
        super().__init__("execution reverted")
        self.data = data


@dataclass(frozen=True, slots=True)
class AccountProof:
    """What `eth_getProof` says of one account, nodes from the root down (EIP-1186)."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes
    nodes: tuple[bytes, ...]
    slots: tuple[tuple[int, int, tuple[bytes, ...]], ...]  # slot, value, nodes


@dataclass(frozen=True, slots=True)
class _Pooled:
    entry: PendingTransaction
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class _Mined:
    header: Header
    executed: list[tuple[Transaction, Receipt, Computation]]
    unpaid: list[Transaction]


class _Chain(MiningChain):  # type: ignore[misc]  # Any, see pyevm.py
    """py-evm's chain, with the header's free fields set where every header is made.

    `mine_all` would take them as arguments, but executes the transactions with another header than it then seals, and
    leaves out the preprocessing in which EIP-2935 keeps the parent's hash.
    """

    vm_configuration = ((0, PragueVM),)
    # Set per chain: `configure` only fills what the class already has.
    next_timestamp: Callable[[int], int] = staticmethod(lambda parent: parent + 1)

    def create_header_from_parent(self, parent_header: Header, **params: Any) -> Header:
        free = {
            "timestamp": type(self).next_timestamp(parent_header.timestamp),
            "coinbase": ZERO_ADDRESS,
            "mix_hash": ZERO_HASH32,
            "gas_limit": GAS_LIMIT,
        }
        return super().create_header_from_parent(parent_header, **(free | params))

    def mine_next(
        self,
        timestamp: int,
        candidates: Callable[[State, Header], Iterable[Transaction]],
        extra_data: bytes = b"",
    ) -> _Mined:
        """Write the block after the head; of the candidates those that are valid, in their order."""
        header = self.create_header_from_parent(
            self.get_canonical_head(), timestamp=timestamp, extra_data=extra_data
        )
        vm = self.get_vm(header)
        vm.block_preprocessing(vm.get_block())
        vm.state.lock_changes()
        executed: list[tuple[Transaction, Receipt, Computation]] = []
        unpaid: list[Transaction] = []
        for transaction in candidates(vm.state, header):
            try:
                receipt, computation = vm.apply_transaction(header, transaction)
            except ValidationError:
                # Nonce, fee and gas were looked at before, so the sender's ether went elsewhere in the meantime.
                unpaid.append(transaction)
                continue
            header = vm.add_receipt_to_header(header, receipt)
            executed.append((transaction, receipt, computation))
        block = vm.set_block_transactions_and_withdrawals(
            vm.get_block(), header, [row[0] for row in executed], [row[1] for row in executed]
        )
        block = vm.mine_block(vm.block_postprocessing(block)).block
        self.persist_block(block)
        self.header = self.create_header_from_parent(block.header)
        return _Mined(block.header, executed, unpaid)

    def rewind(self, header: Header) -> None:
        """Make a block of the chain its head; those after it are overwritten as new ones are written."""
        self.chaindb.db[SchemaV1.make_canonical_head_hash_lookup_key()] = header.hash


class DevChain:
    """The chain in one folder. Synchronous: an operation is a few milliseconds and nothing runs beside it."""

    def __init__(self, store: ChainStore, chain_id: int, clock: Callable[[], float]) -> None:
        self.store = store
        self.chain_id = chain_id
        self._clock = clock
        chain_class = _Chain.configure(
            __name__="DevelopmentChain",
            chain_id=chain_id,
            next_timestamp=staticmethod(lambda parent: max(parent + 1, self.now())),
        )
        self._database = AtomicDB(store.key_values)
        self._chain_class: Any = chain_class
        self._chain: Any = None
        self._pool: dict[tuple[bytes, int], _Pooled] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        chain_id: int | None = None,
        funded: Sequence[bytes] = (),
        clock: Callable[[], float] = time.time,
    ) -> DevChain:
        """Open the chain in `folder`, or begin one there.

        `chain_id` is drawn at random for a new chain where none is given, so that nothing signed on one such chain
        means anything on another; for an old one it must be its own (Conflict). `funded` are 20-byte addresses that
        a new chain gives 10^9 ether, as it does the key in `faucet.key`.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            faucet = _faucet_key(folder / FAUCET_FILE)
        except OSError as error:
            raise Misconfigured(f"no chain can be kept in {folder}: {error.strerror}") from error
        store = ChainStore(folder / _STORE_FILE)
        try:
            kept = store.meta("chain_id")
            if kept is not None:
                number = int.from_bytes(kept, "big")
                _check_chain_id(chain_id, number)
                chain = cls(store, number, clock)
            else:
                # Above 2^31, where no registered chain is; below 2^53, so that JSON holds it.
                number = chain_id or secrets.randbelow(2**31) + 2**31
                chain = cls(store, number, clock)
                chain._begin([faucet.public_key.to_canonical_address(), *funded])
            chain._resume()
        except BaseException:
            store.close()
            raise
        return chain

    def close(self) -> None:
        """Release the folder."""
        self.store.close()

    def _begin(self, funded: Sequence[bytes]) -> None:
        accounts = {address: _account(balance=FAUCET_WEI) for address in funded}
        accounts[CREATE2_DEPLOYER] = _account(code=_CREATE2_DEPLOYER_CODE)
        accounts[HISTORY_STORAGE_ADDRESS] = _account(code=HISTORY_STORAGE_CONTRACT_CODE)
        with self.store.transaction():
            genesis = self._chain_class.from_genesis(
                self._database,
                {
                    # One second ago, so that the first block need not wait.
                    "timestamp": self.now() - 1,
                    "coinbase": ZERO_ADDRESS,
                    "mix_hash": ZERO_HASH32,
                    "gas_limit": GAS_LIMIT,
                },
                accounts,
            ).get_canonical_head()
            self.store.set_meta("chain_id", self.chain_id.to_bytes(8, "big"))
            self.store.set_meta("genesis", genesis.hash)
            self.store.add_block(0, genesis.hash)

    def _resume(self) -> None:
        self._chain = self._chain_class(self._database)
        for entry in self.store.pending():
            transaction = self._decode(entry.raw)
            self._pool[entry.sender, entry.nonce] = _Pooled(entry, transaction)

    # --- blocks ---

    def clock(self) -> float:
        """Unix time in seconds, as the chain sees it."""
        return self._clock()

    def now(self) -> int:
        """The clock in whole seconds: the latest time that a block may have."""
        return int(self._clock())

    @property
    def head(self) -> Header:
        """The newest header."""
        return self._chain.get_canonical_head()

    def header(self, number: int) -> Header:
        """The header of a block; NotFound beyond the head."""
        if not 0 <= number <= self.head.block_number:
            raise NotFound(f"no block {number}")
        return self._chain.get_canonical_block_header_by_number(number)

    def receipt(self, header: Header, position: int) -> Receipt:
        """The receipt of a transaction by its zero-based position in its block."""
        return self._chain.chaindb.get_receipt_by_index(
            header.block_number, position, PragueVM.get_receipt_builder()
        )

    def mine(self, timestamp: int, *, with_pool: bool = True) -> Header:
        """Write one block with that time in Unix seconds, and in it what is ready in the pool.

        Conflict for a time that is not after the parent's, or after the clock.
        """
        if not self.head.timestamp < timestamp <= self.now():
            raise Conflict("a block is later than its parent and not later than the clock")
        with self.store.transaction():
            mined: _Mined = self._chain.mine_next(timestamp, self._ready if with_pool else _nothing)
            self._index(mined.header, mined.executed)
            # What its sender cannot pay would be tried again with every block; other nodes drop it too.
            gone = [row[0] for row in mined.executed] + mined.unpaid
            for transaction in gone:
                self.store.remove_pending(transaction.sender, transaction.nonce)
        for transaction in gone:
            self._pool.pop((transaction.sender, transaction.nonce), None)
        return mined.header

    def reorganise(self, depth: int) -> Header:
        """Replace the newest `depth` blocks by empty ones of the same times; what stood in them is dropped.

        Nothing goes back to the pool, so that whoever sent it has to notice. Refused for the genesis.
        """
        number = self.head.block_number - depth
        if depth < 1 or number < 0:
            raise Refused(f"a chain of {self.head.block_number} blocks cannot replace {depth}")
        replaced = [self.header(number + offset) for offset in range(1, depth + 1)]
        try:
            with self.store.transaction():
                self.store.remove_blocks_after(number)
                self._chain.rewind(self.header(number))
                for old in replaced:
                    # Without what names the old block, an empty one would be replaced by itself.
                    mined: _Mined = self._chain.mine_next(old.timestamp, _nothing, extra_data=old.hash)
                    self._index(mined.header, mined.executed)
        finally:
            self._chain = self._chain_class(self._database)
        return self.head

    def _index(self, header: Header, executed: Sequence[tuple[Transaction, Receipt, Computation]]) -> None:
        mined: list[MinedTransaction] = []
        logs: list[MinedLog] = []
        before = 0
        for position, (transaction, receipt, computation) in enumerate(executed):
            message = computation.msg
            mined.append(
                MinedTransaction(
                    hash=transaction.hash,
                    block=header.block_number,
                    position=position,
                    raw=transaction.encode(),
                    sender=transaction.sender,
                    gas_used=receipt.gas_used - before,
                    cumulative_gas_used=receipt.gas_used,
                    gas_price=effective_gas_price(transaction, header.base_fee_per_gas),
                    succeeded=computation.is_success,
                    created=message.storage_address if message.is_create and computation.is_success else None,
                )
            )
            before = receipt.gas_used
            for log in receipt.logs:
                topics = tuple(topic.to_bytes(32, "big") for topic in log.topics)
                logs.append(
                    MinedLog(
                        *(header.block_number, len(logs), transaction.hash, position),
                        *(log.address, topics, log.data),
                    )
                )
        self.store.add_block(header.block_number, header.hash, mined, logs)

    # --- pool ---

    def submit(self, raw: bytes) -> bytes:
        """Take a signed transaction into the pool, on disk before this returns, and return its hash.

        Refused with the words that other nodes use, since clients read them.
        """
        if len(raw) > MAX_TRANSACTION_BYTES:
            raise _refused("oversized data")
        transaction = self._decode(raw)
        sender = self._sender(transaction)
        if self.store.transaction_of(transaction.hash) is not None or transaction.hash in self._hashes():
            raise _refused("already known")
        self._check(transaction, sender)
        old = self._pool.get((sender, transaction.nonce))
        if old is None and len(self._pool) >= MAX_POOL:
            raise _refused("txpool is full")
        if old is not None and not _outbids(transaction, old.transaction):
            raise _refused("replacement transaction underpriced")
        entry = PendingTransaction(sender, transaction.nonce, transaction.hash, bytes(raw))
        with self.store.transaction():
            self.store.add_pending(entry)
        self._pool[sender, transaction.nonce] = _Pooled(entry, transaction)
        return entry.hash

    def _decode(self, raw: bytes) -> Transaction:
        try:
            transaction = PragueVM.get_transaction_builder().decode(raw)
        except Exception as error:  # py-evm and rlp raise of every kind on hostile bytes
            raise _refused("transaction cannot be decoded") from error
        # Blobs need a consensus layer, and code of accounts nobody here needs.
        if transaction.type_id not in (None, 1, 2):
            raise _refused("transaction type not supported")
        return transaction

    def _sender(self, transaction: Transaction) -> bytes:
        try:
            transaction.validate()
            sender: bytes = transaction.sender
        except Exception as error:  # as above
            raise _refused("invalid transaction: signature or field out of range") from error
        # Without a chain id (before EIP-155) it could be replayed from any other chain.
        if transaction.chain_id != self.chain_id:
            raise _refused(f"invalid chain id for signer: this chain is {self.chain_id}")
        return sender

    def _check(self, transaction: Transaction, sender: bytes) -> None:
        state = self.state(self.head)
        nonce = state.get_nonce(sender)
        if transaction.nonce < nonce:
            raise _refused(f"nonce too low: next is {nonce}, transaction has {transaction.nonce}")
        if transaction.nonce > nonce + MAX_NONCE_GAP:
            raise _refused(f"nonce too high: next is {nonce}, transaction has {transaction.nonce}")
        if transaction.gas > GAS_LIMIT:
            raise _refused("exceeds block gas limit")
        if transaction.gas < transaction.intrinsic_gas:
            raise _refused("intrinsic gas too low")
        if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
            raise _refused("max priority fee per gas higher than max fee per gas")
        if state.get_balance(sender) < transaction.value + transaction.gas * transaction.max_fee_per_gas:
            raise _refused("insufficient funds for gas * price + value")

    def _hashes(self) -> set[bytes]:
        return {pooled.entry.hash for pooled in self._pool.values()}

    def pending(self, transaction_hash: bytes) -> Transaction | None:
        """A transaction of the pool."""
        for pooled in self._pool.values():
            if pooled.entry.hash == transaction_hash:
                return pooled.transaction
        return None

    def pending_nonce(self, address: bytes) -> int:
        """The next nonce after all that stand in the pool without a gap."""
        nonce: int = self.state(self.head).get_nonce(address)
        while (address, nonce) in self._pool:
            nonce += 1
        return nonce

    def has_ready(self) -> bool:
        """Whether a block now would hold a transaction."""
        head = self.head
        next_header = self._chain.create_header_from_parent(head)
        return next(iter(self._ready(self.state(head), next_header)), None) is not None

    def _ready(self, state: State, header: Header) -> Iterable[Transaction]:
        """What can go into a block on `state`: each sender's in order of nonce, the best tips first."""
        base_fee = header.base_fee_per_gas
        heads: dict[bytes, _Pooled] = {}
        for sender in {sender for sender, _ in self._pool}:
            first = self._pool.get((sender, state.get_nonce(sender)))
            if first is not None:
                heads[sender] = first
        gas_left = header.gas_limit
        while heads:
            sender, pooled = max(heads.items(), key=lambda item: _tip(item[1].transaction, base_fee))
            del heads[sender]
            transaction = pooled.transaction
            # A sender's later ones wait for this one, so it is not passed over for them.
            if transaction.max_fee_per_gas < base_fee or transaction.gas > gas_left:
                continue
            yield transaction
            # Whether it went in shows in the nonce.
            if state.get_nonce(sender) == transaction.nonce + 1:
                gas_left -= transaction.gas
                following = self._pool.get((sender, transaction.nonce + 1))
                if following is not None:
                    heads[sender] = following

    # --- state ---

    def state(self, header: Header) -> State:
        """The state after the block with that header, with its context but gas for nothing; writes are dropped."""
        return PragueVM.build_state(
            self._chain.chaindb.db,
            header.copy(base_fee_per_gas=0),
            ChainContext(self.chain_id),
            PragueVM.get_prev_hashes(header.parent_hash, self._chain.chaindb),
        )

    def call(self, header: Header, sender: bytes, to: bytes, data: bytes, value: int = 0) -> bytes:
        """What a message returns on the state after `header`; CallReverted, or Refused where the EVM fails."""
        state = self.state(header)
        message = Message(
            gas=GAS_LIMIT, to=to, sender=sender, value=value, data=data, code=state.get_code(to)
        )
        context = state.get_transaction_context_class()(gas_price=0, origin=sender)
        try:
            computation = state.computation_class.apply_message(state, message, context)
        except VMError as error:
            raise Refused(f"execution failed: {type(error).__name__}") from error
        _raise_if_failed(computation)
        return bytes(computation.output)

    def estimate_gas(self, sender: bytes, to: bytes | None, data: bytes, value: int = 0) -> int:
        """The least gas, within a hundredth, with which the transaction succeeds in the next block."""
        head = self.head
        header = self._chain.create_header_from_parent(head).copy(state_root=head.state_root)
        computation, used = self._try(header, sender, to, data, value, GAS_LIMIT)
        _raise_if_failed(computation)
        if self._try(header, sender, to, data, value, used)[0].is_success:
            return used
        # Refunds come after, and of what is left a call passes on 63 of 64 parts: what is used may not suffice.
        low, high = used, GAS_LIMIT
        guess = min((used + computation.get_gas_refund() + 2300) * 64 // 63, GAS_LIMIT)
        while high - low > high // 100:
            if self._try(header, sender, to, data, value, guess)[0].is_success:
                high = guess
            else:
                low = guess
            guess = (low + high) // 2
        return high

    def _try(
        self, header: Header, sender: bytes, to: bytes | None, data: bytes, value: int, gas: int
    ) -> tuple[Computation, int]:
        state = self.state(header)
        unsigned = PragueVM.create_unsigned_transaction(
            nonce=state.get_nonce(sender), gas_price=0, gas=gas, to=to or b"", value=value, data=data
        )
        spoof = SpoofTransaction(unsigned, from_=sender)
        if gas < spoof.intrinsic_gas:
            raise _refused("intrinsic gas too low")
        try:
            computation = state.apply_transaction(spoof)
        except ValidationError as error:
            raise _refused("insufficient funds for gas * price + value") from error
        return computation, PragueVM.finalize_gas_used(spoof, computation)

    def proof(self, header: Header, address: bytes, slots: Sequence[int]) -> AccountProof:
        """Account and slots with their Merkle-Patricia proofs against the header's state root (EIP-1186)."""
        database = self._chain.chaindb.db
        key = keccak256(address)
        accounts = HexaryTrie(database, header.state_root)
        leaf = accounts[key]
        nonce, balance, storage_root, code_hash = (
            rlp.decode(leaf) if leaf else (b"", b"", BLANK_ROOT_HASH, keccak256(b""))
        )
        storage = HexaryTrie(database, storage_root)
        proven = []
        for slot in slots:
            slot_key = keccak256(slot.to_bytes(32, "big"))
            value = storage[slot_key]
            number = int.from_bytes(rlp.decode(value), "big") if value else 0
            proven.append((slot, number, _proof_nodes(storage, slot_key)))
        return AccountProof(
            int.from_bytes(nonce, "big"),
            int.from_bytes(balance, "big"),
            storage_root,
            code_hash,
            _proof_nodes(accounts, key),
            tuple(proven),
        )


def effective_gas_price(transaction: Transaction, base_fee: int) -> int:
    """What a transaction pays per gas, in wei (EIP-1559)."""
    return base_fee + _tip(transaction, base_fee)


def _tip(transaction: Transaction, base_fee: int) -> int:
    tip: int = min(transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas - base_fee)
    return tip


def _outbids(new: Transaction, old: Transaction) -> bool:
    return bool(
        100 * new.max_fee_per_gas >= _REPLACEMENT_PERCENT * old.max_fee_per_gas
        and 100 * new.max_priority_fee_per_gas >= _REPLACEMENT_PERCENT * old.max_priority_fee_per_gas
    )


def _check_chain_id(asked: int | None, kept: int) -> None:
    if asked not in (None, kept):
        raise Conflict(f"the chain in this folder has id {kept}, not {asked}")


def _nothing(_state: State, _header: Header) -> Iterable[Transaction]:
    return ()


def _proof_nodes(trie: HexaryTrie, key: bytes) -> tuple[bytes, ...]:
    # Nodes under 32 bytes stand inside their parents, and are no elements of a proof of their own.
    nodes = (rlp.encode(node) for node in trie.get_proof(key))
    return tuple(node for node in nodes if len(node) >= 32)


def _raise_if_failed(computation: Computation) -> None:
    if computation.is_success:
        return
    if isinstance(computation.error, Revert):
        raise CallReverted(bytes(computation.output))
    raise Refused(f"execution failed: {type(computation.error).__name__}")


def _refused(words: str) -> Refused:
    return Refused(words, code="transaction_rejected")


def _account(*, balance: int = 0, code: bytes = b"") -> dict[str, Any]:
    # Contracts begin with nonce 1 (EIP-161).
    return {"balance": balance, "nonce": 1 if code else 0, "code": code, "storage": {}}


def _faucet_key(path: Path) -> PrivateKey:
    if not path.exists():
        # Whole or not at all: written beside, then renamed.
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    try:
        return PrivateKey(bytes.fromhex(path.read_text(encoding="ascii").strip().removeprefix("0x")))
    except (ValueError, ValidationError) as error:
        raise Misconfigured(f"{path} holds no private key in hex") from error
