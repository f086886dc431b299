// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IDstackAppBatch} from "../../../contracts/extensions/IDstackAppBatch.sol";
import {IDstackAppEnumerable} from "../../../contracts/extensions/IDstackAppEnumerable.sol";
import {IDstackAppNoticePeriod} from "../../../contracts/extensions/IDstackAppNoticePeriod.sol";
import {ExtendedDstackApp} from "../../../contracts/presets/ExtendedDstackApp.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

/// @dev The extensions in one app must not go round each other.
contract ExtendedDstackApp_Test is Base_Test {
    ExtendedDstackApp private extended;

    function setUp() public override {
        super.setUp();
        extended = ExtendedDstackApp(address(app));
        vm.prank(owner);
        extended.setNoticeSettings(1 days, address(0));
    }

    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }

    function test_ABatchOnlyProposes() external {
        vm.prank(owner);
        extended.addComposeHashes(_two());
        (bytes32[] memory pending, ) = extended.pendingComposeHashes();
        vm.assertEq(abi.encode(pending), abi.encode(_two()), "both are proposed");
        _assertListed(1);

        vm.warp(block.timestamp + 1 days);
        extended.activateComposeHash(pending[0]);
        _assertListed(2);
        vm.assertTrue(extended.allowedComposeHashes(pending[0]), "allowed");
    }

    function test_ABatchAlsoActivates() external {
        vm.startPrank(owner);
        extended.addComposeHashes(_two());
        vm.warp(block.timestamp + 1 days);
        extended.addComposeHashes(_two());
        vm.stopPrank();
        _assertListed(3);
    }

    function test_RevertWhen_AReplacementIsOnlyProposed() external {
        bytes32 next = _two()[0];
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppBatch.ReplacementNotAllowed.selector, next));
        extended.replaceComposeHash(Defaults.COMPOSE_HASH, next);
        vm.assertTrue(extended.allowedComposeHashes(Defaults.COMPOSE_HASH), "the old one stays");
    }

    function test_WhenNoticeIsOver_TheReplacementIsAllowed() external {
        bytes32 next = _two()[0];
        vm.startPrank(owner);
        extended.addComposeHash(next);
        vm.warp(block.timestamp + 1 days);
        extended.replaceComposeHash(Defaults.COMPOSE_HASH, next);
        vm.stopPrank();
        _assertListed(1);
        vm.assertEq(extended.composeHashAt(0), next, "listed");
    }

    function test_RevokeAllExcept_LeavesProposals() external {
        vm.startPrank(owner);
        extended.addComposeHash(_two()[0]);
        extended.revokeAllExcept(new bytes32[](0));
        vm.stopPrank();
        _assertListed(0);
        vm.assertTrue(extended.composeHashActivatableAt(_two()[0]) != 0, "still proposed");
    }

    function test_AnUpgradeNeedsTheNotice() external {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        extended.upgradeToAndCall(address(appImplementation), "");
    }

    function test_DevicesNeedNoNotice() external {
        vm.startPrank(owner);
        extended.addDevices(_two());
        extended.removeDevices(_two());
        vm.stopPrank();
        (uint256 count, ) = extended.deviceCount();
        vm.assertEq(count, 1, "the first device");
    }

    function test_RemoveComposeHashes_EndsProposals() external {
        vm.startPrank(owner);
        extended.addComposeHashes(_two());
        extended.removeComposeHashes(_two());
        vm.stopPrank();
        (bytes32[] memory pending, ) = extended.pendingComposeHashes();
        vm.assertEq(pending.length, 0, "nothing pends");
    }

    function test_SupportsAllInterfaces() external view {
        vm.assertTrue(extended.supportsInterface(type(IDstackAppBatch).interfaceId), "batch");
        vm.assertTrue(extended.supportsInterface(type(IDstackAppEnumerable).interfaceId), "enumerable");
        vm.assertTrue(extended.supportsInterface(type(IDstackAppNoticePeriod).interfaceId), "notice");
        vm.assertTrue(extended.supportsInterface(Defaults.ERC165_ID), "ERC-165");
    }

    function _assertListed(uint256 expected) private view {
        (uint256 count, bool isComplete) = extended.composeHashCount();
        vm.assertEq(count, expected, "listed");
        vm.assertTrue(isComplete, "complete");
    }

    function _two() private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](2);
        hashes[0] = keccak256("second");
        hashes[1] = keccak256("third");
    }
}
