// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "./IAppAuth.sol";
import {IAppAuthBasicManagement} from "./IAppAuthBasicManagement.sol";
import {IAppInitializer} from "./IAppInitializer.sol";
import {IPolicyAudit} from "./IPolicyAudit.sol";

/// @title The boot policy of one app
/// @notice Holds which versions of the app may boot, on which machines, and in what platform state. The address of
/// the proxy is the id of the app.
/// @dev The owner rules alone; ownership moves in two steps. After `renounceOwnership` nobody can add, remove or
/// upgrade anything again: what is allowed at that moment stays allowed for ever, faults included.
interface IDstackApp is IAppAuth, IAppAuthBasicManagement, IPolicyAudit, IAppInitializer {
    /// @notice Whether every machine may boot the app, listed or not.
    event AllowAnyDeviceSet(bool allowAny);

    /// @notice Whether only fully patched platforms may boot the app.
    event RequireTcbUpToDateSet(bool requireUpToDate);

    /// @notice The code of this app is final.
    event UpgradesDisabled();

    /// @notice The older form of the initializer; platform state is not checked until `setRequireTcbUpToDate`.
    /// @dev All that is said of the six-argument form holds here too, and either form uses up the other.
    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external;

    /// @notice Lets every machine boot the app, or only the listed ones. Owner only.
    /// @dev "Every machine" means any host the key service trusts. The device list is kept while this is true and
    /// counts again once it is false.
    function setAllowAnyDevice(bool allowAny) external;

    /// @notice Refuses machines whose platform is not `UpToDate`, or stops refusing them. Owner only.
    /// @dev A vendor's new advisory turns healthy machines away at their next boot while this is true.
    function setRequireTcbUpToDate(bool requireUpToDate) external;

    /// @notice Makes the code of this app final. Owner only; there is no way back, for a later owner neither.
    /// @dev Allowlists and flags stay changeable. Repeating it succeeds and emits again.
    function disableUpgrades() external;

    /// @notice Is this version of the app allowed to boot?
    function allowedComposeHashes(bytes32 composeHash) external view returns (bool);

    /// @notice Is this machine listed? Without meaning while `allowAnyDevice` is true.
    function allowedDeviceIds(bytes32 deviceId) external view returns (bool);

    /// @notice May machines boot that are not listed?
    function allowAnyDevice() external view returns (bool);

    /// @notice Are machines refused whose platform is not `UpToDate`?
    function requireTcbUpToDate() external view returns (bool);

    /// @notice Generation of this contract. Older ones lack `requireTcbUpToDate` and this function.
    function version() external pure returns (uint256);
}
