// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "dstack-toolkit/contracts/DstackApp.sol";
import {DstackKms} from "dstack-toolkit/contracts/DstackKms.sol";
import {IAppAuth} from "dstack-toolkit/contracts/interfaces/IAppAuth.sol";
import {DstackDefaults} from "dstack-toolkit/contracts/testing/DstackDefaults.sol";
import {DstackTest} from "dstack-toolkit/contracts/testing/DstackTest.sol";
import {LyingApp} from "dstack-toolkit/contracts/testing/hostile/LyingApp.sol";
import {NoticePeriod} from "../../contracts/NoticePeriod.sol";

/// The part of forge-std's `Vm` that this test needs.
interface Vm {
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
    function expectRevert(bytes calldata revertData) external;
}

contract NoticePeriodTest is DstackTest {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address private publisher = address(0xA11CE);
    bytes32 private nextVersion = keccak256("the next version");
    NoticePeriod private notice;
    DstackKms private kms;
    DstackApp private app;

    function setUp() external {
        notice = new NoticePeriod(publisher);
        kms = _deployDstackKms(address(this));
        app = _deployDstackApp(kms, address(notice));
    }

    function testFuzz_RevertWhen_ReleasedEarly(uint256 early) external {
        vm.prank(publisher);
        notice.announce(app, nextVersion);
        uint256 readyAt = notice.readyAt(app, nextVersion);
        vm.warp(readyAt - 1 - (early % notice.NOTICE()));

        vm.expectRevert(abi.encodeWithSelector(NoticePeriod.TooEarly.selector, readyAt));
        notice.release(app, nextVersion);
        _assertRefusesComposeHash(app, nextVersion);
    }

    function test_WhenTheNoticeIsOver_TheNextVersionBoots() external {
        IAppAuth.AppBootInfo memory bootInfo = _bootInfoOf(address(app), nextVersion, DstackDefaults.DEVICE_ID);
        _assertRefusesBoot(kms, bootInfo, "Compose hash not allowed");

        vm.prank(publisher);
        notice.announce(app, nextVersion);
        vm.warp(notice.readyAt(app, nextVersion));
        notice.release(app, nextVersion);

        _assertBoots(kms, bootInfo);
        _assertBoots(kms, _bootInfoOf(address(app)));
    }

    /// A notice period protects the users of the apps that it owns. Another app can return any verdict.
    function test_WhenAnAppLies_TheKmsBelievesIt() external {
        LyingApp liar = new LyingApp("");
        kms.registerApp(address(liar));
        _assertBoots(kms, _bootInfoOf(address(liar), nextVersion, DstackDefaults.DEVICE_ID));
    }
}
