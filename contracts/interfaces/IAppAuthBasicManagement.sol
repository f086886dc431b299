// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title The four calls that keep an app's allowlists
/// @notice ERC-165 id `0x8fd37527`.
/// @dev All four are set writes: repeating one succeeds, leaves the same state and emits again, so a caller who
/// is unsure whether an earlier transaction landed can send it once more and hold a receipt that proves the state.
/// For the same reason count neither additions nor removals: the latest event of a value is its state.
/// No event argument is indexed; filter logs by emitter and topic, then read the data.
///
/// Removal stops the next boot. It neither stops a machine that is running nor takes back keys it already holds,
/// and a version allowed again later derives the same keys as before.
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
    /// @dev Reverts with "invalid compose hash" for zero, which is what a missing value looks like.
    /// Earlier versions stay allowed until each is removed: an owner who never removes leaves every old
    /// version, and its known faults, bootable with the app's keys.
    function addComposeHash(bytes32 composeHash) external;

    /// @notice Withdraws one version of the app. Owner only.
    /// @dev Takes zero too: apps of older code may list it.
    function removeComposeHash(bytes32 composeHash) external;

    /// @notice Lets one machine boot the app. Owner only.
    /// @dev Reverts with "invalid device ID" for zero.
    /// Has no effect on verdicts while any device is allowed, and takes effect when that is switched off.
    function addDevice(bytes32 deviceId) external;

    /// @notice Withdraws one machine. Owner only.
    /// @dev Takes zero too. Moot while any device is allowed: the state and the event say "removed", yet the machine still
    /// boots. Switch that off first when a removal is meant to bite.
    function removeDevice(bytes32 deviceId) external;
}
