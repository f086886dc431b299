// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {IDstackKms} from "../../../contracts/interfaces/IDstackKms.sol";
import {PolicyLabels} from "../../../contracts/libraries/PolicyLabels.sol";
import {GasBurningApp} from "../../../contracts/testing/hostile/GasBurningApp.sol";
import {LyingApp} from "../../../contracts/testing/hostile/LyingApp.sol";
import {ReenteringApp} from "../../../contracts/testing/hostile/ReenteringApp.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Handler} from "./Handler.sol";

contract KmsHandler is Handler {
    struct CreatedApp {
        DstackApp app;
        address owner;
        address implementation;
    }

    DstackKms public kms;
    LyingApp public liar;

    /// @dev Addresses to register: two accounts without code, hostile contracts, and every created app.
    address[] public candidates;
    CreatedApp[] private created;
    /// @dev The first two are acceptable. The third is accepted, but the factory cannot create an app from it.
    address[] private appImplementations;

    // The model.
    mapping(bytes32 mrAggregated => bool) public aggregatedMrs;
    mapping(bytes32 deviceId => bool) public devices;
    mapping(bytes32 osImageHash => bool) public osImages;
    mapping(address appId => bool) public registered;
    address public appImplementation;
    string public gatewayAppId;
    bytes[4] private info;

    constructor() Handler(address(new DstackKms()), address(new DstackKms())) {
        appImplementations = [address(new DstackApp()), address(new DstackApp()), actors[3]];
        appImplementation = appImplementations[0];
        bytes memory initialization = abi.encodeCall(DstackKms.initialize, (owner, appImplementation));
        vm.recordLogs();
        target = address(new ERC1967Proxy(implementation, initialization));
        kms = DstackKms(target);
        _replay(vm.getRecordedLogs());

        liar = new LyingApp("trust me");
        bytes memory reentry = abi.encodeCall(DstackKms.registerApp, (actors[1]));
        candidates = [actors[0], actors[1], address(liar), address(new GasBurningApp())];
        candidates.push(address(new ReenteringApp(target, reentry)));
    }

    function addKmsAggregatedMr(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 mr = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.addKmsAggregatedMr, (mr)))) aggregatedMrs[mr] = true;
    }

    function removeKmsAggregatedMr(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 mr = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.removeKmsAggregatedMr, (mr)))) aggregatedMrs[mr] = false;
    }

    function addKmsDevice(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 deviceId = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.addKmsDevice, (deviceId)))) devices[deviceId] = true;
    }

    function removeKmsDevice(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 deviceId = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.removeKmsDevice, (deviceId)))) devices[deviceId] = false;
    }

    function addOsImageHash(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 osImageHash = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.addOsImageHash, (osImageHash)))) osImages[osImageHash] = true;
    }

    function removeOsImageHash(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 osImageHash = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.removeOsImageHash, (osImageHash)))) {
            osImages[osImageHash] = false;
        }
    }

    function setKmsInfo(uint256 actorSeed, uint256 seed) external {
        DstackKms.KmsInfo memory next = DstackKms.KmsInfo(
            _text(seed),
            _text(seed / 3),
            _text(seed / 9),
            _text(seed / 27)
        );
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.setKmsInfo, (next)))) {
            info = [next.k256Pubkey, next.caPubkey, next.quote, next.eventlog];
        }
    }

    function setKmsQuote(uint256 actorSeed, uint256 seed) external {
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.setKmsQuote, (_text(seed))))) info[2] = _text(seed);
    }

    function setKmsEventlog(uint256 actorSeed, uint256 seed) external {
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.setKmsEventlog, (_text(seed))))) info[3] = _text(seed);
    }

    function setGatewayAppId(uint256 actorSeed, uint256 seed) external {
        string memory appId = string(_text(seed));
        if (_sendAsOwner(actorSeed, abi.encodeCall(kms.setGatewayAppId, (appId)))) gatewayAppId = appId;
    }

    function setAppImplementation(uint256 actorSeed, uint256 implementationSeed) external {
        uint256 choice = implementationSeed % (appImplementations.length + 1);
        address next = choice == appImplementations.length ? address(0) : appImplementations[choice];
        address actor = _pick(actorSeed);
        bytes memory call = abi.encodeCall(kms.setAppImplementation, (next));
        if (_send(actor, call, _isOwner(actor) && next != address(0))) appImplementation = next;
    }

    function registerApp(uint256 actorSeed, uint256 appSeed) external {
        uint256 choice = appSeed % (candidates.length + 1);
        address appId = choice == candidates.length ? address(0) : candidates[choice];
        if (_sendOpen(_pick(actorSeed), abi.encodeCall(kms.registerApp, (appId)), appId != address(0))) {
            registered[appId] = true;
        }
    }

    function deployAndRegisterApp(uint256 actorSeed, uint256 ownerSeed, bool olderForm, bool flag) external {
        uint256 choice = ownerSeed % (actors.length + 1);
        address appOwner = choice == actors.length ? address(0) : actors[choice];
        bytes memory call =
            olderForm
                ? abi.encodeWithSignature(
                    "deployAndRegisterApp(address,bool,bool,bytes32,bytes32)",
                    appOwner,
                    flag,
                    !flag,
                    value(ownerSeed),
                    value(ownerSeed / VALUES)
                )
                : abi.encodeWithSignature(
                    "deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)",
                    appOwner,
                    flag,
                    flag,
                    !flag,
                    value(ownerSeed),
                    value(ownerSeed / VALUES)
                );
        address next = vm.computeCreateAddress(target, vm.getNonce(target));
        bool expected = appOwner != address(0) && appImplementation != appImplementations[2];
        if (_sendOpen(_pick(actorSeed), call, expected)) {
            registered[next] = true;
            candidates.push(next);
            created.push(CreatedApp(DstackApp(next), appOwner, appImplementation));
        }
    }

    /// @dev As a transaction, so that nothing but the KMS keeps the app from writing.
    function ask(uint256 actorSeed, uint256 appSeed) external {
        IAppAuth.AppBootInfo memory bootInfo;
        bootInfo.appId = candidates[appSeed % candidates.length];
        bootInfo.osImageHash = value(appSeed / VALUES);
        bytes32 before = digest();
        _sendRecorded(_pick(actorSeed), abi.encodeCall(kms.isAppAllowed, (bootInfo)));
        if (digest() != before) _violate("a question moved something");
    }

    function initialize(uint256 actorSeed, uint256 implementationSeed) external {
        address actor = _pick(actorSeed);
        address implementation_ = appImplementations[implementationSeed % appImplementations.length];
        _send(actor, abi.encodeCall(kms.initialize, (actor, implementation_)), false);
    }

    function createdApps() external view returns (CreatedApp[] memory) {
        return created;
    }

    function candidateCount() external view returns (uint256) {
        return candidates.length;
    }

    function expectedInfo() external view returns (bytes[4] memory) {
        return info;
    }

    function selectors() external pure returns (bytes4[] memory list) {
        list = new bytes4[](19);
        list[0] = this.addKmsAggregatedMr.selector;
        list[1] = this.removeKmsAggregatedMr.selector;
        list[2] = this.addKmsDevice.selector;
        list[3] = this.removeKmsDevice.selector;
        list[4] = this.addOsImageHash.selector;
        list[5] = this.removeOsImageHash.selector;
        list[6] = this.setKmsInfo.selector;
        list[7] = this.setKmsQuote.selector;
        list[8] = this.setKmsEventlog.selector;
        list[9] = this.setGatewayAppId.selector;
        list[10] = this.setAppImplementation.selector;
        list[11] = this.registerApp.selector;
        list[12] = this.deployAndRegisterApp.selector;
        list[13] = this.ask.selector;
        list[14] = this.initialize.selector;
        list[15] = this.transferOwnership.selector;
        list[16] = this.acceptOwnership.selector;
        list[17] = this.renounceOwnership.selector;
        list[18] = this.upgrade.selector;
    }

    /// @dev Empty bytes, bytes that fit into a slot, or longer bytes.
    function _text(uint256 seed) private pure returns (bytes memory) {
        if (seed % 3 == 0) return "";
        return seed % 3 == 1 ? Defaults.QUOTE : Defaults.K256_PUBKEY;
    }

    function _upgradesAreOpen() internal pure override returns (bool) {
        return true;
    }

    function _listCells() internal pure override returns (bytes32[] memory cells) {
        cells = new bytes32[](3 * VALUES);
        for (uint256 i = 0; i < VALUES; i++) {
            cells[3 * i] = _mappingCell(value(i), Slots.KMS_ALLOWED_AGGREGATED_MRS);
            cells[3 * i + 1] = _mappingCell(value(i), Slots.KMS_ALLOWED_DEVICE_IDS);
            cells[3 * i + 2] = _mappingCell(value(i), Slots.KMS_ALLOWED_OS_IMAGES);
        }
    }

    function _readListEvent(bytes32 topic) internal pure override returns (bytes32 policy, bool enabled) {
        if (topic == Topics.KMS_AGGREGATED_MR_ADDED) return (PolicyLabels.KMS_AGGREGATED_MR, true);
        if (topic == Topics.KMS_AGGREGATED_MR_REMOVED) return (PolicyLabels.KMS_AGGREGATED_MR, false);
        if (topic == Topics.KMS_DEVICE_ADDED) return (PolicyLabels.KMS_DEVICE, true);
        if (topic == Topics.KMS_DEVICE_REMOVED) return (PolicyLabels.KMS_DEVICE, false);
        if (topic == Topics.OS_IMAGE_HASH_ADDED) return (PolicyLabels.OS_IMAGE, true);
        if (topic == Topics.OS_IMAGE_HASH_REMOVED) return (PolicyLabels.OS_IMAGE, false);
        if (topic == Topics.APP_REGISTERED) return (PolicyLabels.REGISTERED_APP, true);
    }
}
