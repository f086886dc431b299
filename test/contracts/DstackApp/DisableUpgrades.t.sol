// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";
import {OwnerOnlyBehaviour} from "../support/behaviours/OwnerOnlyBehaviour.sol";

/// @dev UpgradeToAndCall.t.sol tests the effect on upgrades.
contract DstackApp_DisableUpgrades_Test is OwnerOnlyBehaviour {
    function _target() internal view override returns (address) {
        return address(app);
    }

    function _call(bytes32) internal override {
        app.disableUpgrades();
    }

    function test_WhenCallerIsOwner() external {
        _startRecording();

        vm.prank(owner);
        app.disableUpgrades();

        _assertLogs(_expectedLogs());
        _assertWritesOnly(address(app), bytes32(Slots.APP_FLAGS));
        vm.assertEq(vm.load(address(app), bytes32(Slots.APP_FLAGS)), bytes32(uint256(1)), "raw flags");
    }

    function test_WhenRepeated_SucceedsAndEmitsAgain() external {
        vm.startPrank(owner);
        app.disableUpgrades();
        _startRecording();
        app.disableUpgrades();
        vm.stopPrank();

        _assertLogs(_expectedLogs());
        vm.assertEq(vm.load(address(app), bytes32(Slots.APP_FLAGS)), bytes32(uint256(1)), "raw flags");
    }

    function testFuzz_WhenCalled_OtherBytesOfTheSlotStay(bytes32 noise) external {
        bytes32 mask = ~bytes32(uint256(0xff));
        vm.store(address(app), bytes32(Slots.APP_FLAGS), noise & mask);

        vm.prank(owner);
        app.disableUpgrades();

        vm.assertEq(vm.load(address(app), bytes32(Slots.APP_FLAGS)), (noise & mask) | bytes32(uint256(1)), "raw slot");
    }

    /// @dev The owner still controls the policy when the code is frozen.
    function test_WhenDisabled_PolicyStaysChangeable() external {
        vm.startPrank(owner);
        app.disableUpgrades();
        app.setAllowAnyDevice(true);
        app.setAllowAnyDevice(false);
        app.setRequireTcbUpToDate(true);
        app.addDevice(Defaults.OTHER_DEVICE_ID);
        app.addComposeHash(Defaults.OTHER_COMPOSE_HASH);
        vm.stopPrank();

        vm.assertTrue(app.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "hash added");
        vm.assertEq(vm.load(address(app), bytes32(Slots.APP_FLAGS)), bytes32(uint256(1)), "still disabled");
    }

    function _expectedLogs() private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(address(app), Topics.UPGRADES_DISABLED, ""),
                _policyChanged(address(app), owner, "upgrades-disabled", 0, true)
            );
    }
}
