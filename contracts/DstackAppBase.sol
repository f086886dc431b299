// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";
import {PolicyAudit} from "./PolicyAudit.sol";
import {IAppInitializer} from "./interfaces/IAppInitializer.sol";
import {IDstackApp} from "./interfaces/IDstackApp.sol";
import {PolicyLabels} from "./libraries/PolicyLabels.sol";
import {TcbStatus} from "./libraries/TcbStatus.sol";

/// @title State, rule and hooks of DstackApp, and of extensions of it
/// @dev Slots 0 to 52 have the same layout as in the apps deployed from v0.5.4 on; contracts/layout fixes this layout.
/// In apps of v0.4.2 to v0.5.3 the same variables are one slot later, so an upgrade makes them lose their policy: see
/// contracts/testing/layouts/AppAuthV042.sol.
///
/// An extension overrides the `internal virtual` functions below and calls `super`, before or after its own work. It
/// keeps its variables in an ERC-7201 namespace, and a contract that is deployed as it stands may also put them behind
/// the gap. The permission to upgrade is not virtual, so `disableUpgrades` binds every derived contract; one can only add
/// conditions, in `_beforeUpgrade`.
abstract contract DstackAppBase is
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
    ) public virtual initializer {
        _initializeApp(
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
    ) public virtual initializer {
        _initializeApp(initialOwner, disableUpgrades_, false, allowAnyDevice_, initialDeviceId, initialComposeHash);
    }

    /// @dev Runs once, in either form of `initialize`. An initializer of your own calls it too.
    function _initializeApp(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) internal virtual onlyInitializing {
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

    /// @dev Every addition, the one of the initializer included. The caller has checked the owner.
    /// @return isChange Whether anything is different now. The events are emitted in both cases.
    function _addComposeHash(bytes32 composeHash) internal virtual returns (bool isChange) {
        isChange = !allowedComposeHashes[composeHash];
        allowedComposeHashes[composeHash] = true;
        emit ComposeHashAdded(composeHash);
        _recordPolicy(PolicyLabels.COMPOSE_HASH, composeHash, true);
    }

    function _removeComposeHash(bytes32 composeHash) internal virtual returns (bool isChange) {
        isChange = allowedComposeHashes[composeHash];
        allowedComposeHashes[composeHash] = false;
        emit ComposeHashRemoved(composeHash);
        _recordPolicy(PolicyLabels.COMPOSE_HASH, composeHash, false);
    }

    function _addDevice(bytes32 deviceId) internal virtual returns (bool isChange) {
        isChange = !allowedDeviceIds[deviceId];
        allowedDeviceIds[deviceId] = true;
        emit DeviceAdded(deviceId);
        _recordPolicy(PolicyLabels.DEVICE, deviceId, true);
    }

    function _removeDevice(bytes32 deviceId) internal virtual returns (bool isChange) {
        isChange = allowedDeviceIds[deviceId];
        allowedDeviceIds[deviceId] = false;
        emit DeviceRemoved(deviceId);
        _recordPolicy(PolicyLabels.DEVICE, deviceId, false);
    }

    /// @dev The rule itself: why the machine may not boot the app, or an empty text if it may. Checks in this order:
    /// platform state (if `requireTcbUpToDate` is set), compose hash, device. The conditions are nested because `&&` costs
    /// more gas.
    function _findRefusal(AppBootInfo calldata bootInfo) internal view virtual returns (string memory reason) {
        if (requireTcbUpToDate) {
            if (!TcbStatus.isUpToDate(bootInfo.tcbStatus)) return "TCB status is not up to date";
        }
        if (!allowedComposeHashes[bootInfo.composeHash]) return "Compose hash not allowed";
        if (!allowAnyDevice) {
            if (!allowedDeviceIds[bootInfo.deviceId]) return "Device not allowed";
        }
    }

    /// @dev One way: no function returns it to false.
    function _disableUpgrades() internal {
        _upgradesDisabled = true;
        emit UpgradesDisabled();
        _recordPolicy(PolicyLabels.UPGRADES_DISABLED, 0, true);
    }

    /// @dev Runs before the implementation changes. The caller has checked the owner and `disableUpgrades`.
    function _beforeUpgrade(address newImplementation) internal virtual {}

    function _authorizeUpgrade(address newImplementation) internal override onlyOwner {
        require(!_upgradesDisabled, "Upgrades are permanently disabled");
        _beforeUpgrade(newImplementation);
        _recordPolicy(PolicyLabels.IMPLEMENTATION_UPGRADE, newImplementation, true);
    }
}
