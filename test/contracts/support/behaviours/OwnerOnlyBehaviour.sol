// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Base_Test} from "../Base.sol";
import {OwnableLike} from "../OwnableLike.sol";

/// @dev The refusal of a stranger by every function that only the owner may call.
abstract contract OwnerOnlyBehaviour is Base_Test {
    /// @dev The contract under test.
    function _target() internal view virtual returns (address);

    /// @dev The function under test with arguments built from `seed`, called by the pranked account.
    function _call(bytes32 seed) internal virtual;

    function testFuzz_RevertWhen_CallerIsNotOwner(address caller, bytes32 seed) external {
        _assumeStranger(caller);
        _startRecording();

        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, caller));
        vm.prank(caller);
        _call(seed);

        _assertNoLogs();
        _assertWritesNothing(_target());
    }

    function test_RevertWhen_CallerIsOnlyPendingOwner() external {
        vm.prank(owner);
        OwnableLike(_target()).transferOwnership(nextOwner);

        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, nextOwner));
        vm.prank(nextOwner);
        _call(0);
    }

    function test_RevertWhen_OwnershipWasRenounced() external {
        vm.prank(owner);
        OwnableLike(_target()).renounceOwnership();

        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, owner));
        vm.prank(owner);
        _call(0);
    }
}
