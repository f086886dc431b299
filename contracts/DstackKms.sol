// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {PolicyAudit} from "./PolicyAudit.sol";
import {IAppAuth} from "./interfaces/IAppAuth.sol";
import {IAppInitializer} from "./interfaces/IAppInitializer.sol";
import {IDstackKms} from "./interfaces/IDstackKms.sol";
import {PolicyLabels} from "./libraries/PolicyLabels.sol";
import {TcbStatus} from "./libraries/TcbStatus.sol";

/// @title Registry, OS image list and app factory, behind a UUPS proxy
/// @dev Slots 0 to 59 have the same layout as in the KMSs deployed from v0.5.4 on; contracts/layout fixes this layout.
/// contracts/testing/layouts/KmsAuthV042.sol shows what a KMS of v0.4.2 to v0.5.3 loses when it is upgraded.
contract DstackKms is
    Initializable,
    Ownable2StepUpgradeable,
    UUPSUpgradeable,
    ERC165Upgradeable,
    PolicyAudit,
    IDstackKms
{
    /// @notice Public identity of the KMS. Clients compare it with what the nodes present.
    /// @dev Declared here and not in IDstackKms, because existing sources use the name `DstackKms.KmsInfo`, and
    /// Solidity does not find that name in a parent contract.
    /// @param k256Pubkey Root public key (secp256k1) that signs app keys.
    /// @param caPubkey Public key of the certificate authority.
    /// @param quote Attestation quote of the node that generated the keys.
    /// @param eventlog Event log belonging to the quote.
    struct KmsInfo {
        bytes k256Pubkey;
        bytes caPubkey;
        bytes quote;
        bytes eventlog;
    }

    /// @inheritdoc IDstackKms
    KmsInfo public kmsInfo;

    /// @inheritdoc IDstackKms
    /// @custom:oz-renamed-from tproxyAppId
    string public gatewayAppId;

    /// @inheritdoc IDstackKms
    mapping(address appId => bool) public registeredApps;

    /// @inheritdoc IDstackKms
    mapping(bytes32 mrAggregated => bool) public kmsAllowedAggregatedMrs;

    /// @inheritdoc IDstackKms
    mapping(bytes32 deviceId => bool) public kmsAllowedDeviceIds;

    /// @inheritdoc IDstackKms
    mapping(bytes32 osImageHash => bool) public allowedOsImages;

    /// @inheritdoc IDstackKms
    address public appImplementation;

    uint256[50] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IDstackKms
    function initialize(address initialOwner, address appImplementation_) public initializer {
        __Ownable_init(initialOwner);
        if (appImplementation_ != address(0)) _setAppImplementation(appImplementation_);
    }

    /// @inheritdoc IDstackKms
    /// @dev With `memory`, the decoder rejects a member whose offset points outside the struct, such as a negative
    /// offset. With `calldata`, offsets are signed, and the contract would store the bytes that it finds there.
    function setKmsInfo(KmsInfo memory info) external onlyOwner {
        kmsInfo = info;
        emit KmsInfoSet(info.k256Pubkey);
        _recordPolicy(PolicyLabels.KMS_INFO, keccak256(info.k256Pubkey), true);
    }

    /// @inheritdoc IDstackKms
    function setKmsQuote(bytes calldata quote) external onlyOwner {
        kmsInfo.quote = quote;
    }

    /// @inheritdoc IDstackKms
    function setKmsEventlog(bytes calldata eventlog) external onlyOwner {
        kmsInfo.eventlog = eventlog;
    }

    /// @inheritdoc IDstackKms
    function setGatewayAppId(string calldata appId) external onlyOwner {
        gatewayAppId = appId;
        emit GatewayAppIdSet(appId);
        _recordPolicy(PolicyLabels.GATEWAY_APP_ID, keccak256(bytes(appId)), true);
    }

    /// @inheritdoc IDstackKms
    function registerApp(address appId) public {
        require(appId != address(0), "Invalid app ID");
        _registerApp(appId);
    }

    /// @inheritdoc IDstackKms
    function setAppImplementation(address implementation) external onlyOwner {
        require(implementation != address(0), "Invalid implementation address");
        _setAppImplementation(implementation);
    }

    /// @inheritdoc IDstackKms
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) public returns (address appId) {
        return
            _deployAndRegisterApp(
                initialOwner,
                disableUpgrades,
                requireTcbUpToDate,
                allowAnyDevice,
                initialDeviceId,
                initialComposeHash
            );
    }

    /// @inheritdoc IDstackKms
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) public returns (address appId) {
        return
            _deployAndRegisterApp(
                initialOwner,
                disableUpgrades,
                false,
                allowAnyDevice,
                initialDeviceId,
                initialComposeHash
            );
    }

    /// @inheritdoc IDstackKms
    function addKmsAggregatedMr(bytes32 mrAggregated) external onlyOwner {
        kmsAllowedAggregatedMrs[mrAggregated] = true;
        emit KmsAggregatedMrAdded(mrAggregated);
        _recordPolicy(PolicyLabels.KMS_AGGREGATED_MR, mrAggregated, true);
    }

    /// @inheritdoc IDstackKms
    function removeKmsAggregatedMr(bytes32 mrAggregated) external onlyOwner {
        kmsAllowedAggregatedMrs[mrAggregated] = false;
        emit KmsAggregatedMrRemoved(mrAggregated);
        _recordPolicy(PolicyLabels.KMS_AGGREGATED_MR, mrAggregated, false);
    }

    /// @inheritdoc IDstackKms
    function addKmsDevice(bytes32 deviceId) external onlyOwner {
        kmsAllowedDeviceIds[deviceId] = true;
        emit KmsDeviceAdded(deviceId);
        _recordPolicy(PolicyLabels.KMS_DEVICE, deviceId, true);
    }

    /// @inheritdoc IDstackKms
    function removeKmsDevice(bytes32 deviceId) external onlyOwner {
        kmsAllowedDeviceIds[deviceId] = false;
        emit KmsDeviceRemoved(deviceId);
        _recordPolicy(PolicyLabels.KMS_DEVICE, deviceId, false);
    }

    /// @inheritdoc IDstackKms
    function addOsImageHash(bytes32 osImageHash) external onlyOwner {
        allowedOsImages[osImageHash] = true;
        emit OsImageHashAdded(osImageHash);
        _recordPolicy(PolicyLabels.OS_IMAGE, osImageHash, true);
    }

    /// @inheritdoc IDstackKms
    function removeOsImageHash(bytes32 osImageHash) external onlyOwner {
        allowedOsImages[osImageHash] = false;
        emit OsImageHashRemoved(osImageHash);
        _recordPolicy(PolicyLabels.OS_IMAGE, osImageHash, false);
    }

    /// @inheritdoc IDstackKms
    function isKmsAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        if (!TcbStatus.isUpToDate(bootInfo.tcbStatus)) {
            return (false, "TCB status is not up to date");
        }
        if (!allowedOsImages[bootInfo.osImageHash]) {
            return (false, "OS image is not allowed");
        }
        if (!kmsAllowedAggregatedMrs[bootInfo.mrAggregated]) {
            return (false, "Aggregated MR not allowed");
        }
        if (!kmsAllowedDeviceIds[bootInfo.deviceId]) {
            return (false, "KMS is not allowed to boot on this device");
        }
        return (true, "");
    }

    /// @inheritdoc IAppAuth
    /// @dev Checks in this order: registration, OS image, code at the app id, the app's own answer. The app is
    /// untrusted. It can give a false answer for itself, revert (this call then reverts too) or burn the gas it gets.
    /// It cannot change any state, because it is called with a static call.
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        if (!registeredApps[bootInfo.appId]) {
            return (false, "App not registered");
        }
        if (!allowedOsImages[bootInfo.osImageHash]) {
            return (false, "OS image is not allowed");
        }
        if (bootInfo.appId.code.length == 0) {
            return (false, "App not deployed or invalid address");
        }
        return IAppAuth(bootInfo.appId).isAppAllowed(bootInfo);
    }

    /// @inheritdoc IERC165
    function supportsInterface(
        bytes4 interfaceId
    ) public view virtual override(ERC165Upgradeable, IERC165) returns (bool) {
        return interfaceId == type(IAppAuth).interfaceId || super.supportsInterface(interfaceId);
    }

    function _deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) private returns (address appId) {
        require(appImplementation != address(0), "DstackApp implementation not set");
        require(initialOwner != address(0), "Invalid owner address");
        bytes memory initialization = abi.encodeCall(
            IAppInitializer.initialize,
            (initialOwner, disableUpgrades, requireTcbUpToDate, allowAnyDevice, initialDeviceId, initialComposeHash)
        );
        appId = address(new ERC1967Proxy(appImplementation, initialization));
        _registerApp(appId);
        emit AppDeployedViaFactory(appId, msg.sender);
    }

    function _registerApp(address appId) private {
        registeredApps[appId] = true;
        emit AppRegistered(appId);
        _recordPolicy(PolicyLabels.REGISTERED_APP, appId, true);
    }

    function _setAppImplementation(address implementation) private {
        appImplementation = implementation;
        emit AppImplementationSet(implementation);
        _recordPolicy(PolicyLabels.APP_IMPLEMENTATION, implementation, true);
    }

    function _authorizeUpgrade(address newImplementation) internal override onlyOwner {
        _recordPolicy(PolicyLabels.IMPLEMENTATION_UPGRADE, newImplementation, true);
    }
}
