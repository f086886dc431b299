// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {AppAuthV042} from "../../../contracts/testing/layouts/AppAuthV042.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {StorageSnapshot} from "../support/StorageSnapshot.sol";

/// @dev Why no task may advise to upgrade such an app: the upgrade succeeds, and the policy is lost.
contract DstackApp_UpgradeFromV042_Test is StorageSnapshot {
    address private appId;
    AppAuthV042 private oldImplementation;
    AppAuthV042 private old;

    function setUp() public override {
        super.setUp();
        appId = _actor("app id of the first KMS");
        oldImplementation = new AppAuthV042();
        bytes memory initialization = abi.encodeCall(
            AppAuthV042.initialize,
            (owner, appId, false, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH)
        );
        old = AppAuthV042(address(new ERC1967Proxy(address(oldImplementation), initialization)));
    }

    function test_WhenReadRaw_EverythingLiesOneSlotLater() external {
        vm.prank(owner);
        old.setAllowAnyDevice(true);

        vm.assertEq(_load(bytes32(uint256(0))), _widen(appId), "the app id, where DstackApp has its first list");
        vm.assertEq(_load(_mappingCell(Defaults.COMPOSE_HASH, 1)), bytes32(uint256(1)), "compose hash");
        vm.assertEq(_load(bytes32(uint256(2))), bytes32(uint256(0x0100)), "flags");
        vm.assertEq(_load(_mappingCell(Defaults.DEVICE_ID, 3)), bytes32(uint256(1)), "device");
    }

    function test_WhenUpgraded_ThePolicyIsGoneWithoutARevert() external {
        vm.prank(owner);
        old.setAllowAnyDevice(true);
        (bool isAllowed, ) = old.isAppAllowed(_bootInfoOfOld());
        vm.assertTrue(isAllowed, "before");

        DstackApp upgraded = _upgrade(address(appImplementation));

        vm.assertEq(upgraded.owner(), owner, "the owner stays");
        vm.assertFalse(upgraded.allowedComposeHashes(Defaults.COMPOSE_HASH), "hash");
        vm.assertFalse(upgraded.allowedDeviceIds(Defaults.DEVICE_ID), "device");
        vm.assertFalse(upgraded.allowAnyDevice(), "any device");
        string memory reason;
        (isAllowed, reason) = upgraded.isAppAllowed(_bootInfoOfOld());
        vm.assertFalse(isAllowed, "after");
        vm.assertEq(reason, "Compose hash not allowed", "reason");
        _assertReverts(address(old), abi.encodeWithSignature("appId()"), "", "nothing tells the layout any more");
    }

    /// @dev No slot is erased, so the owner can go back, also after changes under the newer code.
    function test_WhenUpgradedBack_ThePolicyIsThereAgain() external {
        bytes32[] memory cells = new bytes32[](2);
        cells[0] = _mappingCell(Defaults.COMPOSE_HASH, 1);
        cells[1] = _mappingCell(Defaults.DEVICE_ID, 3);
        _takeSnapshot(address(old), cells);
        DstackApp upgraded = _upgrade(address(appImplementation));
        _assertSnapshotStands(address(old));

        vm.startPrank(owner);
        upgraded.addComposeHash(Defaults.OTHER_COMPOSE_HASH);
        upgraded.addDevice(Defaults.OTHER_DEVICE_ID);
        upgraded.setAllowAnyDevice(true);
        upgraded.setRequireTcbUpToDate(true);
        vm.stopPrank();
        _upgrade(address(oldImplementation));

        vm.assertEq(old.appId(), appId, "app id");
        vm.assertFalse(old.allowAnyDevice(), "any device");
        vm.assertFalse(old.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "what the newer code allowed");
        (bool isAllowed, ) = old.isAppAllowed(_bootInfoOfOld());
        vm.assertTrue(isAllowed, "verdict");
    }

    /// @dev The permanent damage: under the newer code, the owner disables upgrades, and the policy stays lost.
    function test_RevertWhen_UpgradesWereDisabledAfterTheUpgrade() external {
        DstackApp upgraded = _upgrade(address(appImplementation));
        vm.startPrank(owner);
        upgraded.disableUpgrades();

        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        upgraded.upgradeToAndCall(address(oldImplementation), "");
        vm.stopPrank();
    }

    function test_RevertWhen_UpgradesWereDisabledBefore() external {
        vm.startPrank(owner);
        old.disableUpgrades();

        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        old.upgradeToAndCall(address(appImplementation), "");
        vm.stopPrank();
    }

    function _bootInfoOfOld() private view returns (IAppAuth.AppBootInfo memory bootInfo) {
        bootInfo = _bootInfo();
        bootInfo.appId = appId;
    }

    function _upgrade(address implementation) private returns (DstackApp) {
        vm.prank(owner);
        old.upgradeToAndCall(implementation, "");
        vm.assertEq(vm.load(address(old), Slots.IMPLEMENTATION), _widen(implementation), "implementation");
        return DstackApp(address(old));
    }

    function _load(bytes32 slot) private view returns (bytes32) {
        return vm.load(address(old), slot);
    }
}
