// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Base_Test} from "../Base.sol";
import {OwnableLike} from "../OwnableLike.sol";
import {Slots} from "../Slots.sol";
import {Topics} from "../Topics.sol";

/// @dev Ownership moves in two steps, and only the named candidate can take the second.
abstract contract OwnershipBehaviour is Base_Test {
    function _ownable() internal view virtual returns (OwnableLike);

    /// @dev Any function of the contract that only the owner may call.
    function _ownerOnlyCall() internal virtual;

    function testFuzz_WhenTransferred_OwnerStaysUntilAccepted(address candidate) external {
        _startRecording();

        vm.prank(owner);
        _ownable().transferOwnership(candidate);

        _assertLogs(_logs(_event(address(_ownable()), Topics.OWNERSHIP_TRANSFER_STARTED, owner, candidate)));
        _assertWritesOnly(address(_ownable()), Slots.PENDING_OWNER);
        vm.assertEq(_ownable().owner(), owner, "owner");
        vm.assertEq(_ownable().pendingOwner(), candidate, "pending owner");
        vm.prank(owner);
        _ownerOnlyCall();
    }

    function testFuzz_RevertWhen_StrangerTransfers(address caller, address candidate) external {
        _assumeStranger(caller);
        _startRecording();

        vm.expectRevert(_unauthorized(caller));
        vm.prank(caller);
        _ownable().transferOwnership(candidate);

        _assertNoLogs();
        _assertWritesNothing(address(_ownable()));
    }

    function testFuzz_WhenAccepted(address candidate) external {
        vm.assume(candidate != address(0) && candidate != address(vm));
        vm.prank(owner);
        _ownable().transferOwnership(candidate);
        _startRecording();

        vm.prank(candidate);
        _ownable().acceptOwnership();

        _assertLogs(_logs(_event(address(_ownable()), Topics.OWNERSHIP_TRANSFERRED, owner, candidate)));
        bytes32[] memory slots = new bytes32[](2);
        slots[0] = Slots.OWNER;
        slots[1] = Slots.PENDING_OWNER;
        _assertWritesOnly(address(_ownable()), slots);
        vm.assertEq(_ownable().owner(), candidate, "owner");
        vm.assertEq(_ownable().pendingOwner(), address(0), "pending owner");
    }

    function test_WhenAccepted_OnlyTheNewOwnerCanAct() external {
        vm.prank(owner);
        _ownable().transferOwnership(nextOwner);
        vm.prank(nextOwner);
        _ownable().acceptOwnership();

        vm.expectRevert(_unauthorized(owner));
        vm.prank(owner);
        _ownerOnlyCall();

        vm.prank(nextOwner);
        _ownerOnlyCall();
    }

    function testFuzz_RevertWhen_StrangerAccepts(address caller) external {
        vm.assume(caller != nextOwner && caller != address(vm));
        vm.prank(owner);
        _ownable().transferOwnership(nextOwner);
        _startRecording();

        vm.expectRevert(_unauthorized(caller));
        vm.prank(caller);
        _ownable().acceptOwnership();

        _assertNoLogs();
        _assertWritesNothing(address(_ownable()));
    }

    function test_RevertWhen_OwnerAcceptsForCandidate() external {
        vm.prank(owner);
        _ownable().transferOwnership(nextOwner);

        vm.expectRevert(_unauthorized(owner));
        vm.prank(owner);
        _ownable().acceptOwnership();
    }

    function test_RevertWhen_AcceptedTwice() external {
        vm.prank(owner);
        _ownable().transferOwnership(nextOwner);
        vm.prank(nextOwner);
        _ownable().acceptOwnership();

        vm.expectRevert(_unauthorized(nextOwner));
        vm.prank(nextOwner);
        _ownable().acceptOwnership();
    }

    function test_WhenCandidateIsReplaced_OnlyTheLatestCanAccept() external {
        vm.startPrank(owner);
        _ownable().transferOwnership(stranger);
        _ownable().transferOwnership(nextOwner);
        vm.stopPrank();

        vm.expectRevert(_unauthorized(stranger));
        vm.prank(stranger);
        _ownable().acceptOwnership();

        vm.prank(nextOwner);
        _ownable().acceptOwnership();
        vm.assertEq(_ownable().owner(), nextOwner, "owner");
    }

    function test_WhenTransferredToZero_TransferIsCancelled() external {
        vm.startPrank(owner);
        _ownable().transferOwnership(nextOwner);
        _ownable().transferOwnership(address(0));
        vm.stopPrank();

        vm.expectRevert(_unauthorized(nextOwner));
        vm.prank(nextOwner);
        _ownable().acceptOwnership();
        vm.assertEq(_ownable().owner(), owner, "owner");
    }

    function test_WhenRenounced_NoAccountCanActAgain() external {
        vm.prank(owner);
        _ownable().transferOwnership(nextOwner);
        _startRecording();

        vm.prank(owner);
        _ownable().renounceOwnership();

        _assertLogs(_logs(_event(address(_ownable()), Topics.OWNERSHIP_TRANSFERRED, owner, address(0))));
        vm.assertEq(_ownable().owner(), address(0), "owner");
        vm.assertEq(_ownable().pendingOwner(), address(0), "pending owner");

        vm.expectRevert(_unauthorized(nextOwner));
        vm.prank(nextOwner);
        _ownable().acceptOwnership();

        vm.expectRevert(_unauthorized(owner));
        vm.prank(owner);
        _ownable().transferOwnership(owner);

        vm.expectRevert(_unauthorized(owner));
        vm.prank(owner);
        _ownerOnlyCall();
    }

    function testFuzz_RevertWhen_StrangerRenounces(address caller) external {
        _assumeStranger(caller);
        _startRecording();

        vm.expectRevert(_unauthorized(caller));
        vm.prank(caller);
        _ownable().renounceOwnership();

        _assertNoLogs();
        _assertWritesNothing(address(_ownable()));
    }

    function _unauthorized(address caller) private pure returns (bytes memory) {
        return abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, caller);
    }
}
