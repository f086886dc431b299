// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IDstackAppNoticePeriod} from "../../../contracts/extensions/IDstackAppNoticePeriod.sol";
import {NoticePeriodApp} from "../../../contracts/presets/NoticePeriodApp.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";
import {Topics} from "../support/Topics.sol";

contract NoticePeriodApp_Test is Base_Test {
    uint256 private constant NOW = 1_800_000_000;
    uint256 private constant NOTICE = 2 days;
    bytes32 private constant NEXT = Defaults.OTHER_COMPOSE_HASH;

    NoticePeriodApp private notice;
    address private watcher;

    function setUp() public override {
        super.setUp();
        vm.warp(NOW);
        watcher = _actor("guardian");
        notice = NoticePeriodApp(address(app));
        vm.prank(owner);
        notice.setNoticeSettings(NOTICE, watcher);
    }

    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }

    // Proposals

    function test_AddComposeHash_OnlyProposes() external {
        _startRecording();
        _propose(NEXT);
        _assertLogs(
            _logs(
                _event(
                    address(notice),
                    IDstackAppNoticePeriod.ComposeHashProposed.selector,
                    abi.encode(NEXT, NOW + NOTICE)
                )
            )
        );
        vm.assertFalse(notice.allowedComposeHashes(NEXT), "not allowed yet");
        vm.assertEq(notice.composeHashActivatableAt(NEXT), NOW + NOTICE, "due");
        (bytes32[] memory pending, uint256[] memory dues) = notice.pendingComposeHashes();
        vm.assertTrue(pending.length == 1 && pending[0] == NEXT && dues[0] == NOW + NOTICE, "readable");
    }

    function test_WhenNoticeIsOver_AnyoneActivates() external {
        _propose(NEXT);
        vm.warp(NOW + NOTICE);
        _startRecording();
        vm.prank(stranger);
        notice.activateComposeHash(NEXT);
        _assertLogs(
            _logs(
                _event(address(notice), Topics.COMPOSE_HASH_ADDED, abi.encode(NEXT)),
                _policyChanged(address(notice), stranger, "compose-hash", NEXT, true)
            )
        );
        vm.assertTrue(notice.allowedComposeHashes(NEXT), "allowed");
        _assertNothingPends();
    }

    function test_WhenNoticeIsOver_TheSecondAdditionActivates() external {
        _propose(NEXT);
        vm.warp(NOW + NOTICE);
        _propose(NEXT);
        vm.assertTrue(notice.allowedComposeHashes(NEXT), "allowed");
        _assertNothingPends();
    }

    function testFuzz_RevertWhen_NoticeIsNotOver(uint256 passed) external {
        passed = _bound(passed, 0, NOTICE - 1);
        _propose(NEXT);
        vm.warp(NOW + passed);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NoticeNotOver.selector, NOW + NOTICE));
        notice.activateComposeHash(NEXT);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.AlreadyProposed.selector, NEXT, NOW + NOTICE));
        _propose(NEXT);
        vm.assertFalse(notice.allowedComposeHashes(NEXT), "not allowed");
    }

    function test_RevertWhen_NothingIsProposed() external {
        bytes memory revertData = abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector);
        vm.expectRevert(revertData);
        notice.activateComposeHash(NEXT);
        vm.startPrank(owner);
        vm.expectRevert(revertData);
        notice.cancelComposeHash(NEXT);
        vm.expectRevert(revertData);
        notice.cancelUpgrade(address(1));
        vm.expectRevert(revertData);
        notice.cancelNoticeSettings();
        vm.expectRevert(_reason("invalid compose hash"));
        notice.addComposeHash(0);
        vm.stopPrank();
    }

    function test_WhenActivated_ItCannotBeActivatedAgain() external {
        _propose(NEXT);
        vm.warp(NOW + NOTICE);
        notice.activateComposeHash(NEXT);
        vm.prank(owner);
        notice.removeComposeHash(NEXT);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        notice.activateComposeHash(NEXT);
    }

    function test_AddComposeHash_WhenAllowedAlready_EmitsItsEventsAgain() external {
        _startRecording();
        _propose(Defaults.COMPOSE_HASH);
        _assertLogs(
            _logs(
                _event(address(notice), Topics.COMPOSE_HASH_ADDED, abi.encode(Defaults.COMPOSE_HASH)),
                _policyChanged(address(notice), owner, "compose-hash", Defaults.COMPOSE_HASH, true)
            )
        );
    }

    function test_GuardianAndOwnerCancel() external {
        address[2] memory accounts = [watcher, owner];
        for (uint256 i = 0; i < 2; i++) {
            _propose(NEXT);
            vm.prank(accounts[i]);
            notice.cancelComposeHash(NEXT);
            _assertNothingPends();
            vm.assertEq(notice.composeHashActivatableAt(NEXT), 0, "due");
        }
        vm.warp(NOW + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        notice.activateComposeHash(NEXT);
    }

    function test_RemoveComposeHash_IsInstantAndEndsAProposal() external {
        _propose(NEXT);
        vm.startPrank(owner);
        notice.removeComposeHash(Defaults.COMPOSE_HASH);
        vm.assertFalse(notice.allowedComposeHashes(Defaults.COMPOSE_HASH), "instant");
        _startRecording();
        notice.removeComposeHash(NEXT);
        vm.stopPrank();
        vm.assertEq(
            vm.getRecordedLogs()[0].topics[0],
            IDstackAppNoticePeriod.ComposeHashProposalCancelled.selector,
            "cancelled"
        );
        vm.warp(NOW + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        notice.activateComposeHash(NEXT);
    }

    function testFuzz_RevertWhen_CallerMayNot(address caller) external {
        _assumeStranger(caller);
        vm.assume(caller != watcher);
        _propose(NEXT);
        bytes memory notOwner = abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", caller);
        bytes memory neither = abi.encodeWithSelector(IDstackAppNoticePeriod.NeitherOwnerNorGuardian.selector, caller);
        vm.startPrank(caller);
        vm.expectRevert(neither);
        notice.cancelComposeHash(NEXT);
        vm.expectRevert(neither);
        notice.cancelUpgrade(address(1));
        vm.expectRevert(neither);
        notice.cancelNoticeSettings();
        vm.expectRevert(notOwner);
        notice.proposeUpgrade(address(1));
        vm.expectRevert(notOwner);
        notice.setNoticeSettings(0, caller);
        vm.expectRevert(notOwner);
        notice.addComposeHash(keccak256("another"));
        vm.stopPrank();
    }

    /// @dev The guardian can only cancel.
    function test_RevertWhen_TheGuardianActsAsOwner() external {
        bytes memory notOwner = abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", watcher);
        vm.startPrank(watcher);
        vm.expectRevert(notOwner);
        notice.addComposeHash(NEXT);
        vm.expectRevert(notOwner);
        notice.removeComposeHash(Defaults.COMPOSE_HASH);
        vm.expectRevert(notOwner);
        notice.proposeUpgrade(address(1));
        vm.expectRevert(notOwner);
        notice.setNoticeSettings(0, watcher);
        vm.stopPrank();
    }

    // Settings

    function test_SetNoticeSettings_LongerIsEffectiveAtOnce() external {
        _set(3 days, watcher);
        vm.assertEq(notice.noticePeriod(), 3 days, "period");
        (, , uint256 effectiveAt) = notice.pendingNoticeSettings();
        vm.assertEq(effectiveAt, 0, "nothing pends");
    }

    function test_SetNoticeSettings_WeakerNeedsTheNotice() external {
        address[2] memory guardians = [watcher, address(0)];
        uint256[2] memory periods = [uint256(0), NOTICE];
        for (uint256 i = 0; i < 2; i++) {
            _set(periods[i], guardians[i]);
            vm.assertEq(notice.noticePeriod(), NOTICE, "period");
            vm.assertEq(notice.guardian(), watcher, "guardian");
            (uint256 period, address nextGuardian, uint256 effectiveAt) = notice.pendingNoticeSettings();
            vm.assertTrue(period == periods[i] && nextGuardian == guardians[i], "pending");
            vm.assertEq(effectiveAt, NOW + NOTICE, "effective");
        }
        vm.warp(NOW + NOTICE - 1);
        vm.assertEq(notice.guardian(), watcher, "guardian until then");
        vm.warp(NOW + NOTICE);
        vm.assertEq(notice.guardian(), address(0), "guardian");
        vm.assertEq(notice.noticePeriod(), NOTICE, "the last settings count");
    }

    function test_GuardianRefusesSettings() external {
        _set(0, address(0));
        vm.prank(watcher);
        notice.cancelNoticeSettings();
        vm.warp(NOW + 100 days);
        vm.assertEq(notice.noticePeriod(), NOTICE, "period");
        vm.assertEq(notice.guardian(), watcher, "guardian");
        // Effective settings cannot be refused any more.
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        vm.prank(watcher);
        notice.cancelNoticeSettings();
    }

    function test_WhenThePeriodIsShortened_EarlierProposalsKeepTheirTime() external {
        _set(0, watcher);
        vm.warp(NOW + NOTICE - 1);
        _propose(NEXT);
        vm.warp(NOW + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NoticeNotOver.selector, NOW + 2 * NOTICE - 1));
        notice.activateComposeHash(NEXT);
        // Without a period the owner adds at once.
        _propose(NEXT);
        vm.assertTrue(notice.allowedComposeHashes(NEXT), "allowed");
        _assertNothingPends();
    }

    function test_RevertWhen_PeriodIsTooLong() external {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NoticePeriodTooLong.selector, 3_650 days + 1));
        notice.setNoticeSettings(3_650 days + 1, watcher);
    }

    // Upgrades

    function test_UpgradeNeedsTheNotice() external {
        address next = address(new NoticePeriodApp());
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        notice.upgradeToAndCall(next, "");
        notice.proposeUpgrade(next);
        vm.assertEq(notice.upgradeActivatableAt(next), NOW + NOTICE, "due");
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NoticeNotOver.selector, NOW + NOTICE));
        notice.upgradeToAndCall(next, "");
        vm.warp(NOW + NOTICE);
        notice.upgradeToAndCall(next, "");
        vm.assertEq(_implementationOf(address(notice)), next, "implementation");
        vm.assertEq(notice.noticePeriod(), NOTICE, "the settings stay");
        // One notice is for one upgrade.
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        notice.upgradeToAndCall(next, "");
        vm.stopPrank();
    }

    function test_GuardianRefusesAnUpgrade() external {
        address next = address(new NoticePeriodApp());
        vm.prank(owner);
        notice.proposeUpgrade(next);
        vm.prank(watcher);
        notice.cancelUpgrade(next);
        vm.warp(NOW + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppNoticePeriod.NotProposed.selector));
        vm.prank(owner);
        notice.upgradeToAndCall(next, "");
    }

    function test_SupportsItsInterface() external view {
        vm.assertTrue(notice.supportsInterface(type(IDstackAppNoticePeriod).interfaceId), "notice");
        vm.assertTrue(notice.supportsInterface(Defaults.APP_AUTH_ID), "auth");
        vm.assertFalse(notice.supportsInterface(Defaults.ERC165_INVALID_ID), "invalid");
    }

    function _propose(bytes32 composeHash) private {
        vm.prank(owner);
        notice.addComposeHash(composeHash);
    }

    function _set(uint256 period, address account) private {
        vm.prank(owner);
        notice.setNoticeSettings(period, account);
    }

    function _assertNothingPends() private view {
        (bytes32[] memory pending, ) = notice.pendingComposeHashes();
        vm.assertEq(pending.length, 0, "nothing pends");
    }
}
