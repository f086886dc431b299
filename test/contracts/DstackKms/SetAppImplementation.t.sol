// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";
import {OwnerOnlyBehaviour} from "../support/behaviours/OwnerOnlyBehaviour.sol";

contract DstackKms_SetAppImplementation_Test is OwnerOnlyBehaviour {
    function _target() internal view override returns (address) {
        return address(kms);
    }

    function _call(bytes32 seed) internal override {
        kms.setAppImplementation(address(uint160(uint256(seed))));
    }

    /// @dev Every non-zero address is accepted, with or without code, as IDstackKms warns.
    function testFuzz_WhenCallerIsOwner(address implementation) external {
        vm.assume(implementation != address(0));
        _startRecording();

        vm.prank(owner);
        kms.setAppImplementation(implementation);

        _assertLogs(_expectedLogs(implementation));
        _assertWritesOnly(address(kms), bytes32(Slots.KMS_APP_IMPLEMENTATION));
        vm.assertEq(kms.appImplementation(), implementation, "getter");
    }

    function test_WhenRepeated_SucceedsAndEmitsAgain() external {
        _startRecording();

        vm.prank(owner);
        kms.setAppImplementation(address(appImplementation));

        _assertLogs(_expectedLogs(address(appImplementation)));
        vm.assertEq(kms.appImplementation(), address(appImplementation), "getter");
    }

    function test_RevertWhen_ImplementationIsZero() external {
        vm.expectRevert(_reason("Invalid implementation address"));
        vm.prank(owner);
        kms.setAppImplementation(address(0));

        vm.assertEq(kms.appImplementation(), address(appImplementation), "unchanged");
    }

    function test_RevertWhen_StrangerNamesZero_OwnershipIsCheckedFirst() external {
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, stranger));
        vm.prank(stranger);
        kms.setAppImplementation(address(0));
    }

    function test_WhenReplaced_ExistingAppsKeepTheirCode() external {
        DstackApp next = new DstackApp();
        vm.prank(owner);
        kms.setAppImplementation(address(next));

        address created = kms.deployAndRegisterApp(owner, false, true, 0, 0);
        vm.assertEq(_implementationOf(created), address(next), "a new app runs the new code");
        vm.assertEq(_implementationOf(address(app)), address(appImplementation), "an existing app runs its own");
    }

    function _expectedLogs(address implementation) private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(address(kms), Topics.APP_IMPLEMENTATION_SET, abi.encode(implementation)),
                _policyChanged(address(kms), owner, "app-implementation", _widen(implementation), true)
            );
    }
}
