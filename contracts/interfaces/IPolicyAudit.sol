// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title One event shape for everything an operator can change
/// @notice Emitted beside the specific event of each change, by both contracts.
interface IPolicyAudit {
    /// @notice `actor` set `value` of `policy` to `enabled`.
    /// @dev Apps and registries older than this event changed without it, so it is an addition to the specific
    /// events and no replacement for them.
    /// @param actor Who called the contract: its owner, whoever registered an app, or, for entries written while
    /// an app is created, the factory.
    /// @param policy keccak256 of an ASCII label, see PolicyLabels.
    /// @param value The bytes32 concerned, an address widened to 32 bytes, the keccak256 of longer data, or zero
    /// for a plain flag.
    /// @param enabled The new state of a flag or list entry; always true for values that are only replaced.
    event PolicyChanged(address indexed actor, bytes32 indexed policy, bytes32 indexed value, bool enabled);
}
