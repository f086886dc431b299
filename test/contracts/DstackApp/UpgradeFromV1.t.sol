// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {DstackAppV1} from "../../../contracts/mocks/DstackAppV1.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {StorageSnapshot} from "../support/StorageSnapshot.sol";

contract DstackApp_UpgradeFromV1_Test is StorageSnapshot {
    DstackAppV1 private v1;

    function setUp() public override {
        super.setUp();
        v1 = DstackAppV1(
            address(
                new ERC1967Proxy(
                    address(new DstackAppV1()),
                    abi.encodeCall(DstackAppV1.initialize, (owner, true, Defaults.DEVICE_ID))
                )
            )
        );
        vm.prank(owner);
        v1.addComposeHash(Defaults.COMPOSE_HASH);
    }

    function test_WhenUpgraded_StateSurvivesToTheByte() external {
        bytes32[] memory cells = new bytes32[](2);
        cells[0] = _mappingCell(Defaults.COMPOSE_HASH, Slots.APP_ALLOWED_COMPOSE_HASHES);
        cells[1] = _mappingCell(Defaults.DEVICE_ID, Slots.APP_ALLOWED_DEVICE_IDS);
        _takeSnapshot(address(v1), cells);
        _startRecording();

        DstackApp upgraded = _upgrade();

        _assertWritesOnly(address(v1), Slots.IMPLEMENTATION);
        _assertSnapshotStands(address(v1));
        vm.assertEq(upgraded.owner(), owner, "owner");
        vm.assertTrue(upgraded.allowAnyDevice(), "any device");
        vm.assertTrue(upgraded.allowedComposeHashes(Defaults.COMPOSE_HASH), "hash");
        vm.assertTrue(upgraded.allowedDeviceIds(Defaults.DEVICE_ID), "device");
    }

    function test_WhenUpgraded_WhatV1LackedStartsOff() external {
        DstackApp upgraded = _upgrade();
        vm.assertFalse(upgraded.requireTcbUpToDate(), "TCB");
        vm.assertEq(upgraded.pendingOwner(), address(0), "pending owner");

        IAppAuth.AppBootInfo memory bootInfo = _bootInfo();
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        (bool isAllowed, ) = upgraded.isAppAllowed(bootInfo);
        vm.assertTrue(isAllowed, "machines that booted before still boot");
    }

    function test_WhenUpgraded_WhatV1LackedWorks() external {
        DstackApp upgraded = _upgrade();

        vm.startPrank(owner);
        upgraded.setRequireTcbUpToDate(true);
        upgraded.transferOwnership(nextOwner);
        vm.stopPrank();
        vm.prank(nextOwner);
        upgraded.acceptOwnership();

        vm.assertTrue(upgraded.requireTcbUpToDate(), "TCB");
        vm.assertEq(upgraded.owner(), nextOwner, "owner");
        vm.assertTrue(upgraded.allowAnyDevice(), "the neighbours stay");
        vm.assertTrue(upgraded.allowedComposeHashes(Defaults.COMPOSE_HASH), "the lists stay");
    }

    function test_RevertWhen_UpgradedAppIsInitializedAgain() external {
        DstackApp upgraded = _upgrade();
        vm.expectRevert(abi.encodeWithSignature("InvalidInitialization()"));
        upgraded.initialize(stranger, false, false, true, 0, 0);
    }

    /// @dev V1 kept the flag in the same byte; an app frozen under V1 stays frozen.
    function test_RevertWhen_V1HadDisabledUpgrades() external {
        vm.prank(owner);
        v1.disableUpgrades();

        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        vm.prank(owner);
        v1.upgradeToAndCall(address(appImplementation), "");
    }

    function _upgrade() private returns (DstackApp) {
        vm.prank(owner);
        v1.upgradeToAndCall(address(appImplementation), "");
        return DstackApp(address(v1));
    }
}
