// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../../../contracts/DstackKms.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {PolicyLabels} from "../../../contracts/libraries/PolicyLabels.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {Handler} from "./Handler.sol";
import {InvariantBase} from "./InvariantBase.sol";
import {KmsHandler} from "./KmsHandler.sol";

contract DstackKms_Invariant_Test is InvariantBase {
    uint256 private constant VALUES = 4;

    KmsHandler private handler;
    DstackKms private kms;
    address private bareImplementation;

    function setUp() external {
        handler = new KmsHandler();
        kms = handler.kms();
        bareImplementation = handler.implementation();
    }

    function _handler() internal view override returns (Handler) {
        return handler;
    }

    function _selectors() internal view override returns (bytes4[] memory) {
        return handler.selectors();
    }

    function _bareImplementation() internal view override returns (address) {
        return bareImplementation;
    }

    function _gap() internal pure override returns (uint256 start, uint256 length) {
        return (Slots.KMS_GAP, Slots.KMS_GAP_LENGTH);
    }

    /// @dev 1, and 9 by way of the handler, which compares everything else around each call that is open to all.
    function invariant_StateEqualsModel() external view {
        _assertNoViolation();
        for (uint256 i = 0; i < VALUES; i++) {
            bytes32 value = handler.value(i);
            vm.assertEq(kms.kmsAllowedAggregatedMrs(value), handler.aggregatedMrs(value), "aggregated MR");
            vm.assertEq(kms.kmsAllowedDeviceIds(value), handler.devices(value), "device");
            vm.assertEq(kms.allowedOsImages(value), handler.osImages(value), "OS image");
        }
        for (uint256 i = 0; i < handler.candidateCount(); i++) {
            address appId = handler.candidates(i);
            vm.assertEq(kms.registeredApps(appId), handler.registered(appId), "registered app");
        }
        vm.assertEq(kms.appImplementation(), handler.appImplementation(), "app implementation");
        vm.assertEq(kms.gatewayAppId(), handler.gatewayAppId(), "gateway");
        bytes[4] memory info = handler.expectedInfo();
        (bytes memory k256, bytes memory ca, bytes memory quote, bytes memory eventlog) = kms.kmsInfo();
        vm.assertEq(k256, info[0], "k256Pubkey");
        vm.assertEq(ca, info[1], "caPubkey");
        vm.assertEq(quote, info[2], "quote");
        vm.assertEq(eventlog, info[3], "eventlog");
        vm.assertEq(_implementationOf(address(kms)), handler.implementation(), "implementation");
    }

    /// @dev 2
    function invariant_EventsTellTheLists() external view {
        _assertNoViolation();
        for (uint256 i = 0; i < VALUES; i++) {
            bytes32 value = handler.value(i);
            _assertTold(PolicyLabels.KMS_AGGREGATED_MR, value, kms.kmsAllowedAggregatedMrs(value));
            _assertTold(PolicyLabels.KMS_DEVICE, value, kms.kmsAllowedDeviceIds(value));
            _assertTold(PolicyLabels.OS_IMAGE, value, kms.allowedOsImages(value));
        }
        for (uint256 i = 0; i < handler.candidateCount(); i++) {
            address appId = handler.candidates(i);
            _assertTold(PolicyLabels.REGISTERED_APP, _widen(appId), kms.registeredApps(appId));
        }
    }

    /// @dev 10
    function invariant_NodeVerdictIsExactlyItsRules() external view {
        _assertNoViolation();
        for (uint256 i = 0; i < VALUES; i++) {
            // Each call combines each measurement with another device and image, so that all triples are tested.
            bytes32 deviceId = handler.value(i + handler.callCount());
            bytes32 osImageHash = handler.value(i + handler.callCount() / VALUES);
            _assertNodeVerdict(handler.value(i), deviceId, osImageHash, true);
            _assertNodeVerdict(handler.value(i), deviceId, osImageHash, false);
        }
    }

    /// @dev 10
    function invariant_AppVerdictIsExactlyItsRules() external view {
        _assertNoViolation();
        KmsHandler.CreatedApp[] memory created = handler.createdApps();
        for (uint256 i = 0; i < VALUES; i++) {
            IAppAuth.AppBootInfo memory bootInfo;
            bootInfo.osImageHash = handler.value(i);
            bootInfo.composeHash = handler.value(i);

            bootInfo.appId = handler.candidates(0);
            _assertAppVerdict(bootInfo, false, "App not deployed or invalid address");
            bootInfo.appId = address(handler.liar());
            _assertAppVerdict(bootInfo, true, "trust me");
            if (created.length > 0) {
                bootInfo.appId = address(created[created.length - 1].app);
                (bool isAllowed, string memory reason) = IAppAuth(bootInfo.appId).isAppAllowed(bootInfo);
                _assertAppVerdict(bootInfo, isAllowed, reason);
            }
        }
    }

    /// @dev 11
    function invariant_CreatedAppsObeyTheirOwnOwner() external view {
        _assertNoViolation();
        KmsHandler.CreatedApp[] memory created = handler.createdApps();
        for (uint256 i = 0; i < created.length; i++) {
            vm.assertEq(created[i].app.owner(), created[i].owner, "owner of a created app");
            vm.assertEq(_implementationOf(address(created[i].app)), created[i].implementation, "code of a created app");
        }
    }

    function _assertTold(bytes32 policy, bytes32 value, bool listed) private view {
        vm.assertEq(handler.replayed(policy, value), listed, "replayed");
        vm.assertEq(handler.audited(policy, value), listed, "audited");
    }

    function _assertNodeVerdict(bytes32 mr, bytes32 deviceId, bytes32 osImageHash, bool upToDate) private view {
        IAppAuth.AppBootInfo memory bootInfo;
        bootInfo.mrAggregated = mr;
        bootInfo.deviceId = deviceId;
        bootInfo.osImageHash = osImageHash;
        bootInfo.tcbStatus = upToDate ? Defaults.UP_TO_DATE : Defaults.OUT_OF_DATE;

        string memory expected = "";
        if (!handler.devices(deviceId)) expected = "KMS is not allowed to boot on this device";
        if (!handler.aggregatedMrs(mr)) expected = "Aggregated MR not allowed";
        if (!handler.osImages(osImageHash)) expected = "OS image is not allowed";
        if (!upToDate) expected = "TCB status is not up to date";

        (bool isAllowed, string memory reason) = kms.isKmsAllowed(bootInfo);
        vm.assertEq(reason, expected, "reason");
        vm.assertEq(isAllowed, bytes(expected).length == 0, "verdict");
    }

    /// @param appAllows The verdict of the app, or of an address without one, when the rules of the KMS pass.
    function _assertAppVerdict(
        IAppAuth.AppBootInfo memory bootInfo,
        bool appAllows,
        string memory appReason
    ) private view {
        string memory expected = appReason;
        if (!handler.osImages(bootInfo.osImageHash)) expected = "OS image is not allowed";
        if (!handler.registered(bootInfo.appId)) expected = "App not registered";
        bool passes = handler.registered(bootInfo.appId) && handler.osImages(bootInfo.osImageHash);

        (bool isAllowed, string memory reason) = kms.isAppAllowed(bootInfo);
        vm.assertEq(reason, expected, "reason");
        vm.assertEq(isAllowed, passes && appAllows, "verdict");
    }
}
