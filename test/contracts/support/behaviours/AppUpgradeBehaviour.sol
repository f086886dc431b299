// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../../contracts/DstackApp.sol";
import {IAppAuth} from "../../../../contracts/interfaces/IAppAuth.sol";
import {OneStepApp} from "../../../../contracts/testing/layouts/OneStepApp.sol";
import {Defaults} from "../Defaults.sol";
import {Slots} from "../Slots.sol";
import {StorageSnapshot} from "../StorageSnapshot.sol";

/// @dev What an upgrade to DstackApp must keep of an app of an older release with the same slots.
abstract contract AppUpgradeBehaviour is StorageSnapshot {
    OneStepApp internal old;

    /// @dev A proxy of `owner` with the default device and hash, deployed as that release deployed it.
    function _deployOld() internal virtual returns (address);

    function setUp() public virtual override {
        super.setUp();
        old = OneStepApp(_deployOld());
        vm.startPrank(owner);
        old.addDevice(Defaults.OTHER_DEVICE_ID);
        old.addComposeHash(Defaults.OTHER_COMPOSE_HASH);
        old.setAllowAnyDevice(true);
        vm.stopPrank();
    }

    function test_WhenUpgraded_EveryByteOfStateStays() external {
        bytes32[] memory cells = new bytes32[](4);
        cells[0] = _mappingCell(Defaults.COMPOSE_HASH, Slots.APP_ALLOWED_COMPOSE_HASHES);
        cells[1] = _mappingCell(Defaults.OTHER_COMPOSE_HASH, Slots.APP_ALLOWED_COMPOSE_HASHES);
        cells[2] = _mappingCell(Defaults.DEVICE_ID, Slots.APP_ALLOWED_DEVICE_IDS);
        cells[3] = _mappingCell(Defaults.OTHER_DEVICE_ID, Slots.APP_ALLOWED_DEVICE_IDS);
        _takeSnapshot(address(old), cells);
        _startRecording();

        DstackApp upgraded = _upgrade();

        _assertWritesOnly(address(old), Slots.IMPLEMENTATION);
        _assertSnapshotStands(address(old));
        vm.assertEq(upgraded.owner(), owner, "owner");
        vm.assertTrue(upgraded.allowAnyDevice(), "any device");
        vm.assertTrue(upgraded.allowedComposeHashes(Defaults.COMPOSE_HASH), "first hash");
        vm.assertTrue(upgraded.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "second hash");
        vm.assertTrue(upgraded.allowedDeviceIds(Defaults.DEVICE_ID), "first device");
        vm.assertTrue(upgraded.allowedDeviceIds(Defaults.OTHER_DEVICE_ID), "second device");
    }

    function test_WhenUpgraded_VerdictsStay() external {
        vm.prank(owner);
        old.setAllowAnyDevice(false);
        IAppAuth.AppBootInfo[4] memory machines = [_bootInfo(), _bootInfo(), _bootInfo(), _bootInfo()];
        machines[1].composeHash = bytes32(uint256(1));
        machines[2].deviceId = bytes32(uint256(1));
        machines[3].tcbStatus = Defaults.OUT_OF_DATE;
        string[4] memory reasons;
        for (uint256 i = 0; i < machines.length; i++) (, reasons[i]) = old.isAppAllowed(machines[i]);

        DstackApp upgraded = _upgrade();

        for (uint256 i = 0; i < machines.length; i++) {
            (bool isAllowed, string memory reason) = upgraded.isAppAllowed(machines[i]);
            vm.assertEq(reason, reasons[i], "reason");
            vm.assertEq(isAllowed, bytes(reasons[i]).length == 0, "verdict");
        }
        vm.assertEq(reasons[0], "", "the default machine boots");
        vm.assertEq(reasons[2], "Device not allowed", "the rules are looked at");
    }

    function test_WhenUpgraded_OwnershipMovesInTwoSteps() external {
        DstackApp upgraded = _upgrade();
        vm.assertEq(upgraded.pendingOwner(), address(0), "pending owner");

        vm.prank(owner);
        upgraded.transferOwnership(nextOwner);
        vm.assertEq(upgraded.owner(), owner, "first step");
        vm.prank(nextOwner);
        upgraded.acceptOwnership();

        vm.assertEq(upgraded.owner(), nextOwner, "second step");
        vm.assertTrue(upgraded.allowedComposeHashes(Defaults.COMPOSE_HASH), "the lists stay");
    }

    function test_WhenUpgraded_TcbRuleCanBeSwitchedOn() external {
        DstackApp upgraded = _upgrade();

        vm.prank(owner);
        upgraded.setRequireTcbUpToDate(true);

        vm.assertTrue(upgraded.requireTcbUpToDate(), "TCB");
        vm.assertTrue(upgraded.allowAnyDevice(), "the neighbours stay");
    }

    /// @dev The older releases accepted zero, so it may be listed; the owner must be able to remove it.
    function test_WhenZeroWasListed_ItCanBeRemoved() external {
        vm.startPrank(owner);
        old.addComposeHash(0);
        old.addDevice(0);
        DstackApp upgraded = _upgradeAsOwner();
        vm.assertTrue(upgraded.allowedComposeHashes(0) && upgraded.allowedDeviceIds(0), "listed");

        upgraded.removeComposeHash(0);
        upgraded.removeDevice(0);
        vm.stopPrank();

        vm.assertFalse(upgraded.allowedComposeHashes(0) || upgraded.allowedDeviceIds(0), "gone");
    }

    function test_RevertWhen_UpgradedAppIsInitializedAgain() external {
        DstackApp upgraded = _upgrade();
        bytes memory revertData = abi.encodeWithSignature("InvalidInitialization()");
        vm.expectRevert(revertData);
        upgraded.initialize(stranger, false, false, true, 0, 0);
        vm.expectRevert(revertData);
        upgraded.initialize(stranger, false, true, 0, 0);
    }

    /// @dev The flag lies in the same byte; an app frozen before stays frozen.
    function test_RevertWhen_UpgradesWereDisabled() external {
        vm.startPrank(owner);
        old.disableUpgrades();

        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        old.upgradeToAndCall(address(appImplementation), "");
        vm.stopPrank();

        // The storage of an older proxy under the newer code, which must find the flag too.
        bytes32 flags = vm.load(address(old), bytes32(Slots.APP_FLAGS));
        vm.store(address(app), bytes32(Slots.APP_FLAGS), flags);
        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        vm.prank(owner);
        app.upgradeToAndCall(address(appImplementation), "");
    }

    function test_WhenAskedForAppId_Reverts() external {
        _assertReverts(address(old), abi.encodeWithSignature("appId()"), "", "older code");
        _assertReverts(address(_upgrade()), abi.encodeWithSignature("appId()"), "", "newer code");
    }

    function _upgrade() internal returns (DstackApp upgraded) {
        vm.startPrank(owner);
        upgraded = _upgradeAsOwner();
        vm.stopPrank();
    }

    function _upgradeAsOwner() private returns (DstackApp) {
        old.upgradeToAndCall(address(appImplementation), "");
        return DstackApp(address(old));
    }
}
