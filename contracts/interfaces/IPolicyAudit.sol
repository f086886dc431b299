// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title One event for every change that an operator can make
/// @notice Both contracts emit it in addition to the specific event of each change.
interface IPolicyAudit {
    /// @notice `actor` set `value` of `policy` to `enabled`.
    /// @dev Older apps and registries did not emit this event. So it adds to the specific events and does not replace
    /// them.
    /// @param actor The caller of the contract: its owner, the account that registered an app, or the factory, for
    /// entries written while an app is created.
    /// @param policy keccak256 of an ASCII label, see PolicyLabels.
    /// @param value The bytes32 value, an address widened to 32 bytes, the keccak256 of longer data, or zero for a
    /// plain flag.
    /// @param enabled The new state of a flag or a list entry. Always true for values that are only replaced.
    event PolicyChanged(address indexed actor, bytes32 indexed policy, bytes32 indexed value, bool enabled);
}
