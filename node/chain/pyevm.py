"""py-evm, as the embedded chain uses it: the one place that imports it, and that says so when it is not installed.

Everything is `Any` here: py-evm declares its addresses, hashes and block numbers as types of their own, which would
ask for a cast at every call and find no fault.
"""

from __future__ import annotations

from typing import Any

from node.core.errors import Misconfigured

try:
    import rlp as _rlp
    from eth.chains import base as _chains
    from eth.constants import BLANK_ROOT_HASH, ZERO_ADDRESS, ZERO_HASH32
    from eth.db import atomic as _atomic
    from eth.db import schema as _schema
    from eth.db.backends import base as _backends
    from eth.exceptions import Revert, VMError
    from eth.vm import chain_context as _chain_context
    from eth.vm import message as _message
    from eth.vm import spoof as _spoof
    from eth.vm.forks import prague as _prague
    from eth.vm.forks.prague.constants import HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CONTRACT_CODE
    from eth_keys import datatypes as _keys
    from eth_utils.exceptions import ValidationError
    from trie import hexary as _hexary
except ImportError as error:
    raise Misconfigured(
        f"the embedded chain needs the extra `devchain` (missing: {error.name}): pip install 'bonafides[devchain]'"
    ) from error

Header = Any
"""py-evm's block header."""
State = Any
"""py-evm's view of all accounts after a block."""
Transaction = Any
"""py-evm's signed transaction of any type."""
Receipt = Any
"""py-evm's receipt, whose `gas_used` is cumulative."""
Computation = Any
"""py-evm's account of an execution."""

AtomicDB: Any = _atomic.AtomicDB
BaseDB: Any = _backends.BaseDB
ChainContext: Any = _chain_context.ChainContext
HexaryTrie: Any = _hexary.HexaryTrie
Message: Any = _message.Message
MiningChain: Any = _chains.MiningChain
PragueVM: Any = _prague.PragueVM
PrivateKey: Any = _keys.PrivateKey
SchemaV1: Any = _schema.SchemaV1
SpoofTransaction: Any = _spoof.SpoofTransaction
rlp: Any = _rlp

__all__ = [
    "BLANK_ROOT_HASH",
    "HISTORY_STORAGE_ADDRESS",
    "HISTORY_STORAGE_CONTRACT_CODE",
    "ZERO_ADDRESS",
    "ZERO_HASH32",
    "AtomicDB",
    "BaseDB",
    "ChainContext",
    "Computation",
    "Header",
    "HexaryTrie",
    "Message",
    "MiningChain",
    "PragueVM",
    "PrivateKey",
    "Receipt",
    "Revert",
    "SchemaV1",
    "SpoofTransaction",
    "State",
    "Transaction",
    "VMError",
    "ValidationError",
    "rlp",
]
