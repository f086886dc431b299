// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Several changes of an app's allowlists in one call
/// @notice Each entry has the events of its single call. A call that would leave an entry as it is reverts, so that a
/// receipt proves a change.
interface IDstackAppBatch {
    /// @notice The call names no entry.
    error EmptyBatch();

    /// @notice The list has this entry already, or lacks it already.
    error EntryUnchanged(bytes32 entry);

    /// @notice The new hash is not allowed after its addition, for example because a notice period has begun. Then the
    /// old one must stay.
    error ReplacementNotAllowed(bytes32 composeHash);

    /// @notice Allows versions of the app to boot. Owner only.
    function addComposeHashes(bytes32[] calldata composeHashes) external;

    /// @notice Stops allowing versions of the app to boot. Owner only. CVMs that run one of them go on running.
    function removeComposeHashes(bytes32[] calldata composeHashes) external;

    /// @notice Lists machines. Owner only.
    function addDevices(bytes32[] calldata deviceIds) external;

    /// @notice Takes machines off the list. Owner only.
    function removeDevices(bytes32[] calldata deviceIds) external;

    /// @notice Allows the new version and stops allowing the old one. Owner only.
    /// @dev Emits the events of the addition first. The old version must be allowed, and the new one must not.
    function replaceComposeHash(bytes32 oldHash, bytes32 newHash) external;
}
