// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {PolicyLabels} from "../../../contracts/libraries/PolicyLabels.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {AppHandler} from "./AppHandler.sol";
import {Handler} from "./Handler.sol";
import {InvariantBase} from "./InvariantBase.sol";

contract DstackApp_Invariant_Test is InvariantBase {
    uint256 private constant VALUES = 4;

    AppHandler private handler;
    DstackApp private app;
    address private bareImplementation;

    function setUp() external {
        handler = new AppHandler();
        app = handler.app();
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
        return (Slots.APP_GAP, Slots.APP_GAP_LENGTH);
    }

    /// @dev 1
    function invariant_StateEqualsModel() external view {
        _assertNoViolation();
        for (uint256 i = 0; i < VALUES; i++) {
            bytes32 value = handler.value(i);
            vm.assertEq(app.allowedComposeHashes(value), handler.composeHashes(value), "compose hash");
            vm.assertEq(app.allowedDeviceIds(value), handler.devices(value), "device");
        }
        vm.assertFalse(app.allowedComposeHashes(0) || app.allowedDeviceIds(0), "zero is never listed");
        uint256 flags = (handler.upgradesDisabled() ? 0x01 : 0) | (handler.anyDevice() ? 0x0100 : 0);
        vm.assertEq(uint256(vm.load(address(app), bytes32(Slots.APP_FLAGS))), flags, "raw flags");
        vm.assertEq(app.requireTcbUpToDate(), handler.tcbRequired(), "TCB");
        vm.assertEq(_implementationOf(address(app)), handler.implementation(), "implementation");
    }

    /// @dev 2
    function invariant_EventsTellTheLists() external view {
        _assertNoViolation();
        for (uint256 i = 0; i < VALUES; i++) {
            bytes32 value = handler.value(i);
            bool hash = app.allowedComposeHashes(value);
            bool device = app.allowedDeviceIds(value);
            vm.assertEq(handler.replayed(PolicyLabels.COMPOSE_HASH, value), hash, "compose hash, replayed");
            vm.assertEq(handler.audited(PolicyLabels.COMPOSE_HASH, value), hash, "compose hash, audited");
            vm.assertEq(handler.replayed(PolicyLabels.DEVICE, value), device, "device, replayed");
            vm.assertEq(handler.audited(PolicyLabels.DEVICE, value), device, "device, audited");
        }
        vm.assertEq(handler.audited(PolicyLabels.ALLOW_ANY_DEVICE, 0), app.allowAnyDevice(), "any device, audited");
        vm.assertEq(handler.audited(PolicyLabels.REQUIRE_TCB_UP_TO_DATE, 0), app.requireTcbUpToDate(), "TCB, audited");
        vm.assertEq(
            handler.audited(PolicyLabels.UPGRADES_DISABLED, 0),
            handler.upgradesDisabled(),
            "upgrades disabled, audited"
        );
    }

    /// @dev 7
    function invariant_DisabledUpgradesStayDisabled() external view {
        _assertNoViolation();
        if (handler.upgradesDisabled()) {
            vm.assertEq(uint256(vm.load(address(app), bytes32(Slots.APP_FLAGS))) & 0xff, 1, "raw flag");
            vm.assertEq(_implementationOf(address(app)), handler.implementationWhenDisabled(), "implementation");
        }
    }

    /// @dev 8
    function invariant_VerdictIsExactlyItsRules() external view {
        _assertNoViolation();
        for (uint256 i = 0; i < VALUES; i++) {
            // Each call combines each hash with another device, so that all pairs are tested.
            bytes32 deviceId = handler.value(i + handler.callCount());
            _assertVerdict(handler.value(i), deviceId, true);
            _assertVerdict(handler.value(i), deviceId, false);
        }
    }

    function _assertVerdict(bytes32 composeHash, bytes32 deviceId, bool upToDate) private view {
        IAppAuth.AppBootInfo memory bootInfo;
        bootInfo.composeHash = composeHash;
        bootInfo.deviceId = deviceId;
        bootInfo.tcbStatus = upToDate ? Defaults.UP_TO_DATE : Defaults.OUT_OF_DATE;

        string memory expected = "";
        if (!handler.anyDevice() && !handler.devices(deviceId)) expected = "Device not allowed";
        if (!handler.composeHashes(composeHash)) expected = "Compose hash not allowed";
        if (handler.tcbRequired() && !upToDate) expected = "TCB status is not up to date";

        (bool isAllowed, string memory reason) = app.isAppAllowed(bootInfo);
        vm.assertEq(reason, expected, "reason");
        vm.assertEq(isAllowed, bytes(expected).length == 0, "verdict");
    }
}
