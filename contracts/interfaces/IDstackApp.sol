// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "./IAppAuth.sol";
import {IAppAuthBasicManagement} from "./IAppAuthBasicManagement.sol";
import {IAppInitializer} from "./IAppInitializer.sol";
import {IPolicyAudit} from "./IPolicyAudit.sol";

/// @title The boot policy of one app
/// @notice Stores which versions of the app may boot, on which machines, and in which platform state. The address of
/// the proxy is the id of the app.
/// @dev Only the owner can change the policy; ownership is transferred in two steps. After `renounceOwnership` no
/// account can add, remove or upgrade anything. Everything that is allowed then stays allowed permanently, including
/// versions with faults.
interface IDstackApp is IAppAuth, IAppAuthBasicManagement, IPolicyAudit, IAppInitializer {
    /// @notice The owner set whether every machine may boot the app, listed or not.
    event AllowAnyDeviceSet(bool allowAny);

    /// @notice The owner set whether only fully patched platforms may boot the app.
    event RequireTcbUpToDateSet(bool requireUpToDate);

    /// @notice Upgrades of this app are disabled permanently.
    event UpgradesDisabled();

    /// @notice The older form of the initializer. It does not require an up-to-date platform; `setRequireTcbUpToDate`
    /// can change that later.
    /// @dev The documentation of the six-argument form applies here too. Only one of the two forms can be called, once.
    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external;

    /// @notice Lets every machine boot the app, or only the listed ones. Owner only.
    /// @dev "Every machine" means any machine that the key service trusts. The device list is kept while this is true
    /// and applies again once it is false.
    function setAllowAnyDevice(bool allowAny) external;

    /// @notice Sets whether to reject machines whose platform is not `UpToDate`. Owner only.
    /// @dev While this is true, a new advisory of the vendor can stop machines without faults at their next boot.
    function setRequireTcbUpToDate(bool requireUpToDate) external;

    /// @notice Disables upgrades of this app permanently. Owner only. No owner can undo it.
    /// @dev Allowlists and flags can still be changed. Repeating the call succeeds and emits the event again.
    function disableUpgrades() external;

    /// @notice Is this version of the app allowed to boot?
    function allowedComposeHashes(bytes32 composeHash) external view returns (bool);

    /// @notice Is this machine listed? Has no effect while `allowAnyDevice` is true.
    function allowedDeviceIds(bytes32 deviceId) external view returns (bool);

    /// @notice May machines that are not listed boot the app?
    function allowAnyDevice() external view returns (bool);

    /// @notice Are machines rejected if their platform is not `UpToDate`?
    function requireTcbUpToDate() external view returns (bool);

    /// @notice Version of this contract. Older ones lack `requireTcbUpToDate` and this function.
    function version() external pure returns (uint256);
}
