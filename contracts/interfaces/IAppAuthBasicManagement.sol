// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title The four calls that change an app's allowlists
/// @notice ERC-165 id `0x8fd37527`.
/// @dev All four calls set a value. Repeating a call succeeds, leaves the same state and emits the event again. So a
/// caller that does not know whether an earlier transaction was mined can send it again and gets a receipt that proves
/// the state. For the same reason, do not count additions and removals: the latest event of a value is its state. No
/// event argument is indexed; filter logs by emitter and topic, then read the data.
///
/// Removal stops the next boot. It does not stop a running machine and does not take back keys that the machine already
/// has. A version that is allowed again later derives the same keys as before.
interface IAppAuthBasicManagement is IERC165 {
    /// @notice Documents with this hash may boot from now on.
    event ComposeHashAdded(bytes32 composeHash);

    /// @notice Documents with this hash may no longer boot.
    event ComposeHashRemoved(bytes32 composeHash);

    /// @notice This machine may boot the app from now on.
    event DeviceAdded(bytes32 deviceId);

    /// @notice This machine is no longer listed.
    event DeviceRemoved(bytes32 deviceId);

    /// @notice Lets one version of the app boot. Owner only.
    /// @dev Reverts with "invalid compose hash" for zero, because zero usually means a missing value. Earlier versions
    /// stay allowed until each one is removed. If the owner never removes a version, every old version can still boot
    /// with the app's keys, including versions with known faults.
    function addComposeHash(bytes32 composeHash) external;

    /// @notice Removes one version of the app from the allowlist. Owner only.
    /// @dev Also accepts zero, because apps with older code may have it on their list.
    function removeComposeHash(bytes32 composeHash) external;

    /// @notice Lets one machine boot the app. Owner only.
    /// @dev Reverts with "invalid device ID" for zero. Has no effect on verdicts while any device is allowed. Takes
    /// effect when `allowAnyDevice` is switched off.
    function addDevice(bytes32 deviceId) external;

    /// @notice Removes one machine from the list. Owner only.
    /// @dev Also accepts zero. Has no effect on boots while any device is allowed: the state and the event say
    /// "removed", but the machine still boots. Switch off `allowAnyDevice` first if the removal must have an effect.
    function removeDevice(bytes32 deviceId) external;
}
