// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {PolicyAudit} from "./PolicyAudit.sol";
import {IAppAuth} from "./interfaces/IAppAuth.sol";
import {IAppAuthBasicManagement} from "./interfaces/IAppAuthBasicManagement.sol";
import {IAppInitializer} from "./interfaces/IAppInitializer.sol";
import {IDstackApp} from "./interfaces/IDstackApp.sol";
import {PolicyLabels} from "./libraries/PolicyLabels.sol";
import {TcbStatus} from "./libraries/TcbStatus.sol";

/// @title The boot policy of one app, behind a UUPS proxy
/// @dev Slots 0 to 52 have the same layout as in the apps deployed from v0.5.4 on; contracts/layout fixes this layout.
/// In apps of v0.4.2 to v0.5.3 the same variables are one slot later, so an upgrade makes them lose their policy: see
/// contracts/testing/layouts/AppAuthV042.sol.
contract DstackApp is
    Initializable,
    Ownable2StepUpgradeable,
    UUPSUpgradeable,
    ERC165Upgradeable,
    PolicyAudit,
    IDstackApp
{
    /// @inheritdoc IDstackApp
    mapping(bytes32 composeHash => bool) public allowedComposeHashes;

    bool private _upgradesDisabled;

    /// @inheritdoc IDstackApp
    bool public allowAnyDevice;

    /// @inheritdoc IDstackApp
    mapping(bytes32 deviceId => bool) public allowedDeviceIds;

    /// @inheritdoc IDstackApp
    bool public requireTcbUpToDate;

    uint256[49] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IAppInitializer
    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) public {
        _initializeOnce(
            initialOwner,
            disableUpgrades_,
            requireTcbUpToDate_,
            allowAnyDevice_,
            initialDeviceId,
            initialComposeHash
        );
    }

    /// @inheritdoc IDstackApp
    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) public {
        _initializeOnce(initialOwner, disableUpgrades_, false, allowAnyDevice_, initialDeviceId, initialComposeHash);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function addComposeHash(bytes32 composeHash) external onlyOwner {
        require(composeHash != 0, "invalid compose hash");
        _addComposeHash(composeHash);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function removeComposeHash(bytes32 composeHash) external onlyOwner {
        allowedComposeHashes[composeHash] = false;
        emit ComposeHashRemoved(composeHash);
        _recordPolicy(PolicyLabels.COMPOSE_HASH, composeHash, false);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function addDevice(bytes32 deviceId) external onlyOwner {
        require(deviceId != 0, "invalid device ID");
        _addDevice(deviceId);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function removeDevice(bytes32 deviceId) external onlyOwner {
        allowedDeviceIds[deviceId] = false;
        emit DeviceRemoved(deviceId);
        _recordPolicy(PolicyLabels.DEVICE, deviceId, false);
    }

    /// @inheritdoc IDstackApp
    function setAllowAnyDevice(bool allowAny) external onlyOwner {
        allowAnyDevice = allowAny;
        emit AllowAnyDeviceSet(allowAny);
        _recordPolicy(PolicyLabels.ALLOW_ANY_DEVICE, 0, allowAny);
    }

    /// @inheritdoc IDstackApp
    function setRequireTcbUpToDate(bool requireUpToDate) external onlyOwner {
        requireTcbUpToDate = requireUpToDate;
        emit RequireTcbUpToDateSet(requireUpToDate);
        _recordPolicy(PolicyLabels.REQUIRE_TCB_UP_TO_DATE, 0, requireUpToDate);
    }

    /// @inheritdoc IDstackApp
    function disableUpgrades() external onlyOwner {
        _upgradesDisabled = true;
        emit UpgradesDisabled();
        _recordPolicy(PolicyLabels.UPGRADES_DISABLED, 0, true);
    }

    /// @inheritdoc IAppAuth
    /// @dev Checks in this order: platform state (if `requireTcbUpToDate` is set), compose hash, device.
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        if (requireTcbUpToDate && !TcbStatus.isUpToDate(bootInfo.tcbStatus)) {
            return (false, "TCB status is not up to date");
        }
        if (!allowedComposeHashes[bootInfo.composeHash]) {
            return (false, "Compose hash not allowed");
        }
        if (!allowAnyDevice && !allowedDeviceIds[bootInfo.deviceId]) {
            return (false, "Device not allowed");
        }
        return (true, "");
    }

    /// @inheritdoc IDstackApp
    function version() public pure returns (uint256) {
        return 2;
    }

    /// @inheritdoc IERC165
    function supportsInterface(
        bytes4 interfaceId
    ) public view virtual override(ERC165Upgradeable, IERC165) returns (bool) {
        return
            interfaceId == type(IAppAuth).interfaceId ||
            interfaceId == type(IAppAuthBasicManagement).interfaceId ||
            super.supportsInterface(interfaceId);
    }

    function _initializeOnce(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) private initializer {
        require(initialOwner != address(0), "invalid owner address");
        // Every slot of a new proxy is zero, so writing false would only cost gas.
        if (disableUpgrades_) _upgradesDisabled = true;
        if (allowAnyDevice_) allowAnyDevice = true;
        if (requireTcbUpToDate_) requireTcbUpToDate = true;
        if (initialDeviceId != 0) _addDevice(initialDeviceId);
        if (initialComposeHash != 0) _addComposeHash(initialComposeHash);
        // Called last, because deployed apps emit OwnershipTransferred after the first device and hash.
        __Ownable_init(initialOwner);
    }

    function _addComposeHash(bytes32 composeHash) private {
        allowedComposeHashes[composeHash] = true;
        emit ComposeHashAdded(composeHash);
        _recordPolicy(PolicyLabels.COMPOSE_HASH, composeHash, true);
    }

    function _addDevice(bytes32 deviceId) private {
        allowedDeviceIds[deviceId] = true;
        emit DeviceAdded(deviceId);
        _recordPolicy(PolicyLabels.DEVICE, deviceId, true);
    }

    function _authorizeUpgrade(address newImplementation) internal override onlyOwner {
        require(!_upgradesDisabled, "Upgrades are permanently disabled");
        _recordPolicy(PolicyLabels.IMPLEMENTATION_UPGRADE, newImplementation, true);
    }
}
