# pragma version ~=0.4.3
# pragma evm-version cancun
"""
@title DIDRegistry
@custom:contract-name DIDRegistry
@license Apache-2.0
@author Bonafides
@notice Keeps the owners, delegates and attributes of `did:ethr` identities,
        for chains on which the did:ethr method publishes no registry.
@dev ERC-1056, with its views, events and direct calls under their own names,
     so that any resolver of did:ethr reads it. Without the `…Signed` calls:
     what they sign carries no chain id and could be replayed elsewhere.
     Nobody owns the contract, it takes no ether and cannot be replaced.

     Slots: owners 0, delegates 1, changed 2. The slot of an entry is
     keccak256(base ‖ key), each 32 bytes and addresses left-padded, applied
     once per level of the mapping.

     A resolver walks back through history: `changed` is the block of the
     newest event of an identity, `previousChange` in each event the block of
     the event before. Several changes in one block carry the same block, the
     later ones their own, as ERC-1056's reference does.
"""


from interfaces import IERC1056
implements: IERC1056


# @dev An attribute's value is bounded because Vyper's byte strings are. The
# largest key in sight (ML-DSA-87) has 2,592 bytes, a service URL 2,048.
_MAX_VALUE: constant(uint256) = 4096


# @dev Zero until the first change of owner; `identityOwner` then answers with
# the identity itself.
owners: public(HashMap[address, address])


# @dev identity -> keccak256(delegateType) -> delegate -> Unix time until which
# it is valid.
delegates: public(HashMap[address, HashMap[bytes32, HashMap[address, uint256]]])


# @dev Block number of the newest event of an identity, zero if there is none.
changed: public(HashMap[address, uint256])


@external
def changeOwner(identity: address, newOwner: address):
    """
    @notice Makes `newOwner` the owner of `identity`.
    @dev Only the present owner. The zero address gives the identity back to
         its first key, as in ERC-1056; whoever wants to end an identity gives
         it to an address that nobody holds instead.
    @param identity The identity whose owner changes.
    @param newOwner The address that owns it from now on.
    """
    self._check_owner(identity)
    self.owners[identity] = newOwner
    log IERC1056.DIDOwnerChanged(identity=identity, owner=newOwner, previousChange=self.changed[identity])
    self.changed[identity] = block.number


@external
def addDelegate(identity: address, delegateType: bytes32, delegate: address, validity: uint256):
    """
    @notice Makes `delegate` a delegate of `identity` for a time.
    @dev Only the owner. A repeated call sets a new end. A validity whose end
         is no uint256 is refused, not wrapped around.
    @param identity The identity that gains a delegate.
    @param delegateType The right, e.g. "veriKey" or "sigAuth", zero-padded.
    @param delegate The address that is given the right.
    @param validity Seconds from now for which the right holds.
    """
    self._check_owner(identity)
    self._set_delegate(identity, delegateType, delegate, block.timestamp + validity)


@external
def revokeDelegate(identity: address, delegateType: bytes32, delegate: address):
    """
    @notice Ends the right of `delegate` now.
    @dev Only the owner. As in ERC-1056 the end is the time of this block, and
         an event is emitted for a delegate that never was one, too.
    @param identity The identity that loses a delegate.
    @param delegateType The right that ends.
    @param delegate The address that loses it.
    """
    self._check_owner(identity)
    self._set_delegate(identity, delegateType, delegate, block.timestamp)


@external
def setAttribute(identity: address, name: bytes32, attributeValue: Bytes[_MAX_VALUE], validity: uint256):
    """
    @notice Adds an attribute (a key or a service) to the DID document.
    @dev Only the owner. Attributes live in events alone.
    @param identity The identity that the attribute describes.
    @param name The attribute's name, e.g. "did/pub/Multikey/veriKey".
    @param attributeValue The attribute's value, at most 4,096 bytes.
    @param validity Seconds from now for which the attribute holds.
    """
    self._check_owner(identity)
    self._log_attribute(identity, name, attributeValue, block.timestamp + validity)


@external
def revokeAttribute(identity: address, name: bytes32, attributeValue: Bytes[_MAX_VALUE]):
    """
    @notice Takes an attribute out of the DID document.
    @dev Only the owner. `validTo` of the event is zero, as in ERC-1056.
    @param identity The identity that the attribute described.
    @param name The attribute's name.
    @param attributeValue The attribute's value, as it was set.
    """
    self._check_owner(identity)
    self._log_attribute(identity, name, attributeValue, 0)


@external
@view
def identityOwner(identity: address) -> address:
    """
    @notice Tells who owns `identity`.
    @param identity The identity asked about.
    @return The owner: the identity itself until the owner is changed.
    """
    return self._owner(identity)


@external
@view
def validDelegate(identity: address, delegateType: bytes32, delegate: address) -> bool:
    """
    @notice Tells whether `delegate` holds a right now.
    @param identity The identity asked about.
    @param delegateType The right asked about.
    @param delegate The address asked about.
    @return True until, not at, the end of the delegate's time.
    """
    return self.delegates[identity][keccak256(delegateType)][delegate] > block.timestamp


@internal
def _set_delegate(identity: address, delegateType: bytes32, delegate: address, valid_to: uint256):
    """
    @dev Stores and logs the end of a delegate's time.
    @param identity The identity concerned.
    @param delegateType The right; stored under its hash, as in ERC-1056.
    @param delegate The delegate concerned.
    @param valid_to Unix time of the end.
    """
    self.delegates[identity][keccak256(delegateType)][delegate] = valid_to
    log IERC1056.DIDDelegateChanged(
        identity=identity,
        delegateType=delegateType,
        delegate=delegate,
        validTo=valid_to,
        previousChange=self.changed[identity],
    )
    self.changed[identity] = block.number


@internal
def _log_attribute(identity: address, name: bytes32, attribute_value: Bytes[_MAX_VALUE], valid_to: uint256):
    """
    @dev Logs an attribute.
    @param identity The identity concerned.
    @param name The attribute's name.
    @param attribute_value The attribute's value.
    @param valid_to Unix time of its end, zero to revoke it.
    """
    log IERC1056.DIDAttributeChanged(
        identity=identity,
        name=name,
        value=attribute_value,
        validTo=valid_to,
        previousChange=self.changed[identity],
    )
    self.changed[identity] = block.number


@internal
@view
def _owner(identity: address) -> address:
    """
    @dev The owner of an identity.
    @param identity The identity asked about.
    @return The stored owner, else the identity itself.
    """
    owner: address = self.owners[identity]
    return identity if owner == empty(address) else owner


@internal
@view
def _check_owner(identity: address):
    """
    @dev Refuses everybody but the owner, with ERC-1056's own word.
    @param identity The identity that is to be changed.
    """
    assert msg.sender == self._owner(identity), "DIDRegistry: bad_actor"
