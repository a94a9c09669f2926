# pragma version ~=0.4.3
# pragma evm-version cancun
"""
@title CredentialRegistry
@custom:contract-name CredentialRegistry
@license Apache-2.0
@author Bonafides
@notice Holds what a verifier needs to know about the credentials of an issuer:
        when they were anchored, in which blocks a key was good, and which of
        them are revoked or suspended. Nothing about anybody is in it: only
        commitments, hashes of keys, and bits.
@dev All that a verdict depends on lies in storage, because a slot is provable
     from any later header for ever and an event is not. Nobody owns the
     contract, it takes no ether and cannot be replaced; what is written for an
     identity is written by its owner in the ERC-1056 registry, or by writers
     whom that owner named.

     Slots: heads 0, anchors 1, keys 2, lists 3, status 4, writers 5, closed 6.
     The slot of an entry is keccak256(base ‖ key), each 32 bytes and addresses
     left-padded, applied once per level of the mapping. Words are packed, bit
     0 being the lowest; blocks, times and counts have 48 bits, which no chain
     fills.

     `heads` counts the writes of an identity, and every event carries the
     count after its write as `n`: whoever has seen all of 1 … heads knows that
     nothing was withheld. What changes no word is no write: it has neither
     event nor count.

     A closed identity can no longer begin anything: anchors, keys and lists
     are refused. What can end something (retiring, declaring a compromise,
     writing status, naming or removing writers) stays possible, since a badge
     must be revocable after its school has gone. Verifiers fail anchors at or
     after the closing block by themselves.
"""


from interfaces import IERC1056


# @dev Purposes of a key (bits 192–207 of its word). Verifiers give meaning to
# bit 0 assertion, bit 1 status lists, bit 2 bbs; the others are left to later
# verifiers, since this code cannot be changed.


# @dev Roles of a writer.
ROLE_ANCHOR: public(constant(uint256)) = 1
ROLE_REVOKE: public(constant(uint256)) = 2
ROLE_SUSPEND: public(constant(uint256)) = 4


# @dev Modes of a status list.
MODE_OR_ONLY: public(constant(uint256)) = 1
MODE_SETTABLE: public(constant(uint256)) = 2


_ALL_ROLES: constant(uint256) = 7
_MIN_LOG2_ENTRIES: constant(uint256) = 17
_MAX_LOG2_ENTRIES: constant(uint256) = 24
_MAX_WORDS: constant(uint256) = 256
_MASK_8: constant(uint256) = 2**8 - 1
_MASK_24: constant(uint256) = 2**24 - 1
_MASK_48: constant(uint256) = 2**48 - 1
_MASK_72: constant(uint256) = 2**72 - 1


# @dev Room for a multicodec prefix and the largest key in sight, ML-DSA-87.
_MAX_KEY: constant(uint256) = 4096


# @dev The ERC-1056 registry that says who owns an identity.
DID_REGISTRY: public(immutable(address))


# @dev identity -> number of writes.
heads: public(HashMap[address, uint256])


# @dev identity -> commitment -> bits 0–47 block, 48–95 Unix time, 96–143 n.
anchors: public(HashMap[address, HashMap[bytes32, uint256]])


# @dev identity -> keccak256(multicodec prefix ‖ raw public key) -> bits 0–47
# from, 48–95 until, 96–143 compromised since, 144–191 block of the last
# declaration of a compromise (all blocks), 192–207 purposes.
keys: public(HashMap[address, HashMap[bytes32, uint256]])


# @dev identity -> list -> bits 0–7 mode, 8–15 log2 of entries, 16–23 bits per
# entry, 24–71 block opened, 72–95 sequence, 96–255 pointer.
# list = SHA-256(0x03 ‖ length of purpose (1 byte) ‖ purpose ‖ URL).
lists: public(HashMap[address, HashMap[bytes32, uint256]])


# @dev identity -> list -> word -> 256 bits of the list, the first bit highest.
status: public(HashMap[address, HashMap[bytes32, HashMap[uint256, uint256]]])


# @dev identity -> owner -> writer -> bits 0–15 roles, 16–63 until (Unix time).
writers: public(HashMap[address, HashMap[address, HashMap[address, uint256]]])


# @dev identity -> block in which it was closed, zero if it is open.
closed: public(HashMap[address, uint256])


# @dev One word of a list to be changed: `set_bits` become 1, `clear_bits` 0.
struct WordChange:
    word: uint256
    set_bits: uint256
    clear_bits: uint256


event Anchored:
    identity: indexed(address)
    commitment: indexed(bytes32)
    n: uint256


event KeyAdded:
    identity: indexed(address)
    key_hash: indexed(bytes32)
    purposes: uint16
    key: Bytes[_MAX_KEY]
    n: uint256


event KeyRetired:
    identity: indexed(address)
    key_hash: indexed(bytes32)
    n: uint256


event KeyCompromised:
    identity: indexed(address)
    key_hash: indexed(bytes32)
    since: uint256
    n: uint256


event ListOpened:
    identity: indexed(address)
    list_id: indexed(bytes32)
    mode: uint8
    log2_entries: uint8
    status_size: uint8
    n: uint256


event ListPublished:
    identity: indexed(address)
    list_id: indexed(bytes32)
    sequence: uint256
    pointer: address
    n: uint256


event StatusChanged:
    identity: indexed(address)
    list_id: indexed(bytes32)
    word: indexed(uint256)
    bits: uint256
    n: uint256


event WriterSet:
    identity: indexed(address)
    owner: indexed(address)
    writer: indexed(address)
    roles: uint16
    until: uint48
    n: uint256


event IdentityClosed:
    identity: indexed(address)
    n: uint256


@deploy
def __init__(did_registry: address):
    """
    @notice Ties this registry to the chain's ERC-1056 registry for good.
    @param did_registry Address of the ERC-1056 registry, already deployed.
    """
    assert did_registry.is_contract, "CredentialRegistry: no ERC-1056 registry there"
    DID_REGISTRY = did_registry


@external
def anchor(identity: address, commitment: bytes32):
    """
    @notice Records that `commitment` existed at this block.
    @dev Owner, or writer with the anchor role. An anchor that stands already
         is left as it is without complaint, whoever asks: a batch sent twice
         after a crash or a reorganisation is no error. The first one counts.
    @param identity The issuer's identity.
    @param commitment SHA-256 over 0x02 ‖ size ‖ root of a tree of credentials.
    """
    if self.anchors[identity][commitment] != 0:
        return
    self._check_writer(identity, ROLE_ANCHOR)
    self._check_open(identity)
    assert commitment != empty(bytes32), "CredentialRegistry: empty commitment"
    n: uint256 = self._count(identity)
    self.anchors[identity][commitment] = block.number | (block.timestamp << 48) | (n << 96)
    log Anchored(identity=identity, commitment=commitment, n=n)


@external
def add_key(identity: address, key: Bytes[_MAX_KEY], purposes: uint16):
    """
    @notice Makes `key` good for what is anchored from this block on.
    @dev Owner only, once per key: a retired key never comes back.
    @param identity The issuer's identity.
    @param key Multicodec prefix ‖ raw public key, at most 4,096 bytes.
    @param purposes Bit 0 assertion, bit 1 status lists, bit 2 bbs; not zero.
    """
    self._check_owner(identity)
    self._check_open(identity)
    assert len(key) != 0, "CredentialRegistry: empty key"
    assert purposes != 0, "CredentialRegistry: key without purpose"
    key_hash: bytes32 = keccak256(key)
    assert self.keys[identity][key_hash] == 0, "CredentialRegistry: key was added before"
    n: uint256 = self._count(identity)
    self.keys[identity][key_hash] = block.number | (convert(purposes, uint256) << 192)
    log KeyAdded(identity=identity, key_hash=key_hash, purposes=purposes, key=key, n=n)


@external
def retire_key(identity: address, key_hash: bytes32):
    """
    @notice Ends a key: what is anchored from this block on under it is void,
            what was anchored before stays good.
    @dev Owner only, once per key.
    @param identity The issuer's identity.
    @param key_hash keccak256 of the key as it was added.
    """
    self._check_owner(identity)
    window: uint256 = self._known_key(identity, key_hash)
    assert (window >> 48) & _MASK_48 == 0, "CredentialRegistry: key has ended"
    n: uint256 = self._count(identity)
    self.keys[identity][key_hash] = window | (block.number << 48)
    log KeyRetired(identity=identity, key_hash=key_hash, n=n)


@external
def compromise_key(identity: address, key_hash: bytes32, since: uint256):
    """
    @notice Declares that a key was in wrong hands since block `since`: what
            was anchored from then on under it is void.
    @dev Owner only, also after retirement; ends the key if it was open. The
         declared block may only move earlier, so a declaration cannot be taken
         back, and lies between the key's first block and this one. The block
         of the declaration itself is kept, for those who dispute it.
    @param identity The issuer's identity.
    @param key_hash keccak256 of the key as it was added.
    @param since First block at which the key is no longer trusted.
    """
    self._check_owner(identity)
    window: uint256 = self._known_key(identity, key_hash)
    assert since >= window & _MASK_48, "CredentialRegistry: compromise before the key"
    assert since <= block.number, "CredentialRegistry: compromise in the future"
    declared_since: uint256 = (window >> 96) & _MASK_48
    assert declared_since == 0 or since < declared_since, "CredentialRegistry: compromise only moves earlier"
    until: uint256 = (window >> 48) & _MASK_48
    if until == 0:
        until = block.number
    n: uint256 = self._count(identity)
    self.keys[identity][key_hash] = (
        (window & _MASK_48)
        | (until << 48)
        | (since << 96)
        | (block.number << 144)
        | (window >> 192 << 192)
    )
    log KeyCompromised(identity=identity, key_hash=key_hash, since=since, n=n)


@external
def open_list(identity: address, list_id: bytes32, mode: uint8, log2_entries: uint8, status_size: uint8):
    """
    @notice Opens a status list, before the first index of it is given out.
    @dev Owner, or writer with the role of the mode, once per list.
    @param identity The issuer's identity.
    @param list_id SHA-256 over 0x03 ‖ length of purpose ‖ purpose ‖ URL.
    @param mode 1: bits can only be set; 2: bits can be set and cleared.
    @param log2_entries 17 to 24: the list has 2**log2_entries entries.
    @param status_size Bits per entry: 1, 2, 4 or 8, so none straddles words.
    """
    assert mode in [1, 2], "CredentialRegistry: unknown mode"
    self._check_writer(identity, self._role_of(convert(mode, uint256)))
    self._check_open(identity)
    assert convert(log2_entries, uint256) >= _MIN_LOG2_ENTRIES, "CredentialRegistry: list too short"
    assert convert(log2_entries, uint256) <= _MAX_LOG2_ENTRIES, "CredentialRegistry: list too long"
    assert status_size in [1, 2, 4, 8], "CredentialRegistry: unknown status size"
    assert self.lists[identity][list_id] == 0, "CredentialRegistry: list was opened before"
    n: uint256 = self._count(identity)
    self.lists[identity][list_id] = (
        convert(mode, uint256)
        | (convert(log2_entries, uint256) << 8)
        | (convert(status_size, uint256) << 16)
        | (block.number << 24)
    )
    log ListOpened(
        identity=identity,
        list_id=list_id,
        mode=mode,
        log2_entries=log2_entries,
        status_size=status_size,
        n=n,
    )


@external
def publish_list(identity: address, list_id: bytes32, pointer: address):
    """
    @notice Points from a list to an account whose code mirrors the list.
    @dev Owner, or writer with the role of the list's mode. A convenience for
         readers: no verdict reads the mirror. Each call raises the sequence.
    @param identity The issuer's identity.
    @param list_id The open list.
    @param pointer The account, zero to withdraw the mirror.
    """
    record: uint256 = self._known_list(identity, list_id)
    self._check_writer(identity, self._role_of(record & _MASK_8))
    sequence: uint256 = ((record >> 72) & _MASK_24) + 1
    assert sequence <= _MASK_24, "CredentialRegistry: sequence is used up"
    n: uint256 = self._count(identity)
    self.lists[identity][list_id] = (
        (record & _MASK_72) | (sequence << 72) | (convert(pointer, uint256) << 96)
    )
    log ListPublished(identity=identity, list_id=list_id, sequence=sequence, pointer=pointer, n=n)


@external
def set_status(identity: address, list_id: bytes32, changes: DynArray[WordChange, _MAX_WORDS]):
    """
    @notice Changes words of an open status list.
    @dev Owner, or writer with the role of the list's mode. Masks, not values,
         so that two writers do not undo each other. A change that finds its
         bits as it wants them writes nothing, so a call may be sent again.
    @param identity The issuer's identity.
    @param list_id The open list.
    @param changes At most 256 words. Word w, read big-endian, is bytes
           32·w … 32·w + 31 of the list. In mode 1 nothing may be cleared, and
           no bit is both set and cleared.
    """
    record: uint256 = self._writable_list(identity, list_id)
    head: uint256 = self.heads[identity]
    n: uint256 = head
    for change: WordChange in changes:
        n = self._change_word(identity, list_id, record, change, n)
    if n != head:
        self.heads[identity] = n


@external
def set_status_word(identity: address, list_id: bytes32, change: WordChange):
    """
    @notice Changes one word of an open status list.
    @dev As `set_status` with one change, for some 4,000 gas less: a call that
         may hold 256 of them sets memory aside for all.
    @param identity The issuer's identity.
    @param list_id The open list.
    @param change The word, as in `set_status`.
    """
    record: uint256 = self._writable_list(identity, list_id)
    head: uint256 = self.heads[identity]
    n: uint256 = self._change_word(identity, list_id, record, change, head)
    if n != head:
        self.heads[identity] = n


@external
def set_writer(identity: address, writer: address, roles: uint16, until: uint48):
    """
    @notice Gives `writer` roles until a time, or takes them away.
    @dev Owner only. Entries stand under the owner who made them: with another
         owner they end at once. (If the identity returns to a former owner,
         so do the entries of that owner whose time has not passed.)
    @param identity The issuer's identity.
    @param writer The account that may write.
    @param roles Sum of 1 anchor, 2 revoke (mode 1), 4 suspend (mode 2); zero
           to remove the writer.
    @param until Unix time at which the roles end; zero to remove the writer.
    """
    assert convert(roles, uint256) <= _ALL_ROLES, "CredentialRegistry: unknown role"
    if roles == 0:
        assert until == 0, "CredentialRegistry: no roles, but a time"
    else:
        assert convert(until, uint256) > block.timestamp, "CredentialRegistry: roles that have ended"
    owner: address = self._owner(identity)
    assert msg.sender == owner, "CredentialRegistry: caller is not the owner"
    n: uint256 = self._count(identity)
    self.writers[identity][owner][writer] = convert(roles, uint256) | (convert(until, uint256) << 16)
    log WriterSet(identity=identity, owner=owner, writer=writer, roles=roles, until=until, n=n)


@external
def close(identity: address):
    """
    @notice Closes an identity for good: what is anchored from this block on is
            void.
    @dev Owner only, once. Revoking stays possible, so writers for it are
         useful after the close. Giving the identity to an address that nobody
         holds afterwards ends that, too.
    @param identity The issuer's identity.
    """
    self._check_owner(identity)
    self._check_open(identity)
    n: uint256 = self._count(identity)
    self.closed[identity] = block.number
    log IdentityClosed(identity=identity, n=n)


@internal
def _writable_list(identity: address, list_id: bytes32) -> uint256:
    """
    @dev The word of a list of which the caller may change words.
    @param identity The identity that is to be written.
    @param list_id The list asked about.
    @return The list's word, not zero.
    """
    record: uint256 = self._known_list(identity, list_id)
    self._check_writer(identity, self._role_of(record & _MASK_8))
    return record


@internal
def _change_word(identity: address, list_id: bytes32, record: uint256, change: WordChange, n: uint256) -> uint256:
    """
    @dev Changes one word and tells of it, or leaves it where its bits stand.
    @param identity The identity that is written.
    @param list_id The list.
    @param record The list's word.
    @param change What is to be set and cleared.
    @param n Number of the last write.
    @return The number of the last write now.
    """
    words: uint256 = (((record >> 16) & _MASK_8) << ((record >> 8) & _MASK_8)) >> 8
    assert change.word < words, "CredentialRegistry: word outside the list"
    assert (
        record & _MASK_8 == MODE_SETTABLE or change.clear_bits == 0
    ), "CredentialRegistry: bits of this list stay set"
    assert change.set_bits & change.clear_bits == 0, "CredentialRegistry: bit both set and cleared"
    old: uint256 = self.status[identity][list_id][change.word]
    new: uint256 = (old & ~change.clear_bits) | change.set_bits
    if new == old:
        return n
    self.status[identity][list_id][change.word] = new
    log StatusChanged(identity=identity, list_id=list_id, word=change.word, bits=new, n=n + 1)
    return n + 1


@internal
def _count(identity: address) -> uint256:
    """
    @dev Counts one write.
    @param identity The identity that is written.
    @return The number of the write; the first is 1.
    """
    n: uint256 = self.heads[identity] + 1
    self.heads[identity] = n
    return n


@internal
@view
def _owner(identity: address) -> address:
    """
    @dev The owner of an identity by ERC-1056. The constructor saw code there,
         so that Vyper's own look for it is not repeated in each call.
    @param identity The identity asked about.
    @return Its present owner.
    """
    return staticcall IERC1056(DID_REGISTRY).identityOwner(identity, skip_contract_check=True)


@internal
@view
def _check_owner(identity: address):
    """
    @dev Refuses everybody but the owner.
    @param identity The identity that is to be written.
    """
    assert msg.sender == self._owner(identity), "CredentialRegistry: caller is not the owner"


@internal
@view
def _check_writer(identity: address, role: uint256):
    """
    @dev Refuses everybody but the owner and writers with `role`. Roles hold
         until, not at, their end, as delegates of ERC-1056 do.
    @param identity The identity that is to be written.
    @param role The role that the write needs.
    """
    owner: address = self._owner(identity)
    if msg.sender == owner:
        return
    entry: uint256 = self.writers[identity][owner][msg.sender]
    assert entry & role != 0, "CredentialRegistry: caller has not the role"
    assert block.timestamp < entry >> 16, "CredentialRegistry: role of the caller has ended"


@internal
@view
def _check_open(identity: address):
    """
    @dev Refuses what a closed identity cannot begin any more.
    @param identity The identity that is to be written.
    """
    assert self.closed[identity] == 0, "CredentialRegistry: identity is closed"


@internal
@view
def _known_key(identity: address, key_hash: bytes32) -> uint256:
    """
    @dev The word of a key, refused if it was never added.
    @param identity The identity asked about.
    @param key_hash The key asked about.
    @return The key's word, not zero.
    """
    window: uint256 = self.keys[identity][key_hash]
    assert window != 0, "CredentialRegistry: unknown key"
    return window


@internal
@view
def _known_list(identity: address, list_id: bytes32) -> uint256:
    """
    @dev The word of a list, refused if it was never opened.
    @param identity The identity asked about.
    @param list_id The list asked about.
    @return The list's word, not zero.
    """
    record: uint256 = self.lists[identity][list_id]
    assert record != 0, "CredentialRegistry: list is not open"
    return record


@internal
@pure
def _role_of(mode: uint256) -> uint256:
    """
    @dev The role that writes lists of a mode.
    @param mode 1 or 2.
    @return Revoke for mode 1, suspend for mode 2.
    """
    return ROLE_REVOKE if mode == MODE_OR_ONLY else ROLE_SUSPEND
