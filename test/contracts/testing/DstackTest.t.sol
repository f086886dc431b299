// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {DstackDefaults} from "../../../contracts/testing/DstackDefaults.sol";
import {DstackTest} from "../../../contracts/testing/DstackTest.sol";
import {LyingApp} from "../../../contracts/testing/hostile/LyingApp.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {TestBase} from "../support/TestBase.sol";

/// @dev Makes each assertion of `DstackTest` an external call, so that a test can expect its failure.
contract AssertingCaller is DstackTest {
    function boots(IAppAuth authority, IAppAuth.AppBootInfo calldata bootInfo) external view {
        _assertBoots(authority, bootInfo);
    }

    function refusesBoot(IAppAuth authority, IAppAuth.AppBootInfo calldata bootInfo, string calldata r) external view {
        _assertRefusesBoot(authority, bootInfo, r);
    }

    function allowsComposeHash(DstackApp app, bytes32 composeHash) external view {
        _assertAllowsComposeHash(app, composeHash);
    }

    function refusesComposeHash(DstackApp app, bytes32 composeHash) external view {
        _assertRefusesComposeHash(app, composeHash);
    }

    function allowsDevice(DstackApp app, bytes32 deviceId) external view {
        _assertAllowsDevice(app, deviceId);
    }

    function refusesDevice(DstackApp app, bytes32 deviceId) external view {
        _assertRefusesDevice(app, deviceId);
    }
}

/// @dev Inherited beside a base with a `vm` of its own, as beside forge-std's.
contract DstackTest_Test is TestBase, DstackTest {
    bytes32 private constant OTHER = keccak256("something else");

    address private owner;
    DstackKms private kms;
    DstackApp private app;
    AssertingCaller private asserting;

    function setUp() external {
        owner = _actor("owner");
        kms = _deployDstackKms(owner);
        app = _deployDstackApp(kms, owner);
        asserting = new AssertingCaller();
    }

    function test_WhenNothingIsChanged_TheAppBoots() external view {
        _assertBoots(kms, _bootInfoOf(address(app)));
        _assertBoots(app, _bootInfoOf(address(app)));
        vm.assertEq(app.owner(), owner, "owner of the app");
        vm.assertEq(kms.owner(), owner, "owner of the KMS");
    }

    function test_WhenOneFieldDiffers_TheReasonIsOfThatField() external view {
        IAppAuth.AppBootInfo memory bootInfo = _bootInfoOf(address(app), OTHER, DstackDefaults.DEVICE_ID);
        _assertRefusesBoot(kms, bootInfo, "Compose hash not allowed");

        bootInfo = _bootInfoOf(address(app), DstackDefaults.COMPOSE_HASH, OTHER);
        _assertRefusesBoot(kms, bootInfo, "Device not allowed");

        bootInfo = _bootInfoOf(address(app));
        bootInfo.osImageHash = OTHER;
        _assertRefusesBoot(kms, bootInfo, "OS image is not allowed");
        _assertBoots(app, bootInfo);
    }

    function test_WhenAHostileAppIsRegistered_ItsLieIsSeen() external {
        LyingApp liar = new LyingApp("");
        kms.registerApp(address(liar));
        _assertBoots(kms, _bootInfoOf(address(liar), OTHER, OTHER));
    }

    function test_WhenTheOppositeIsTrue_EveryAssertionFails() external {
        IAppAuth.AppBootInfo memory good = _bootInfoOf(address(app));
        IAppAuth.AppBootInfo memory bad = _bootInfoOf(address(app), OTHER, DstackDefaults.DEVICE_ID);

        _assertFails(abi.encodeCall(asserting.boots, (kms, bad)));
        _assertFails(abi.encodeCall(asserting.refusesBoot, (kms, good, "")));
        _assertFails(abi.encodeCall(asserting.refusesBoot, (kms, bad, "Device not allowed")));
        _assertFails(abi.encodeCall(asserting.allowsComposeHash, (app, OTHER)));
        _assertFails(abi.encodeCall(asserting.refusesComposeHash, (app, DstackDefaults.COMPOSE_HASH)));
        _assertFails(abi.encodeCall(asserting.allowsDevice, (app, OTHER)));
        _assertFails(abi.encodeCall(asserting.refusesDevice, (app, DstackDefaults.DEVICE_ID)));
    }

    function test_WhenItIsAsStated_EveryAssertionHolds() external view {
        asserting.boots(kms, _bootInfoOf(address(app)));
        asserting.refusesBoot(
            kms,
            _bootInfoOf(address(app), OTHER, DstackDefaults.DEVICE_ID),
            "Compose hash not allowed"
        );
        asserting.allowsComposeHash(app, DstackDefaults.COMPOSE_HASH);
        asserting.refusesComposeHash(app, OTHER);
        asserting.allowsDevice(app, DstackDefaults.DEVICE_ID);
        asserting.refusesDevice(app, OTHER);
    }

    function test_WhenAnyDeviceIsAllowed_NoneIsRefused() external {
        vm.prank(owner);
        app.setAllowAnyDevice(true);

        asserting.allowsDevice(app, OTHER);
        _assertFails(abi.encodeCall(asserting.refusesDevice, (app, OTHER)));
    }

    function _assertFails(bytes memory call) private {
        (bool ok, ) = address(asserting).call(call);
        vm.assertFalse(ok, "the assertion must fail");
    }
}
