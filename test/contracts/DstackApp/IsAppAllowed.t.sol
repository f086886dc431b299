// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

contract DstackApp_IsAppAllowed_Test is Base_Test {
    string private constant TCB_REASON = "TCB status is not up to date";
    string private constant HASH_REASON = "Compose hash not allowed";
    string private constant DEVICE_REASON = "Device not allowed";

    IAppAuth.AppBootInfo private bootInfo;

    function setUp() public override {
        super.setUp();
        bootInfo = _bootInfo();
    }

    function test_WhenEveryRulePasses() external view {
        _assertVerdict(true, "");
    }

    function test_WhenTcbIsRequiredAndUpToDate() external {
        _requireTcb();
        _assertVerdict(true, "");
    }

    function test_WhenTcbIsRequiredAndOutOfDate() external {
        _requireTcb();
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        _assertVerdict(false, TCB_REASON);
    }

    function test_WhenTcbIsNotRequired_StatusIsIgnored() external {
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        _assertVerdict(true, "");
    }

    function test_WhenHashIsUnknown() external {
        bootInfo.composeHash = Defaults.OTHER_COMPOSE_HASH;
        _assertVerdict(false, HASH_REASON);
    }

    function test_WhenHashWasRemoved() external {
        vm.prank(owner);
        app.removeComposeHash(Defaults.COMPOSE_HASH);
        _assertVerdict(false, HASH_REASON);
    }

    function test_WhenDeviceIsUnknown() external {
        bootInfo.deviceId = Defaults.OTHER_DEVICE_ID;
        _assertVerdict(false, DEVICE_REASON);
    }

    function test_WhenDeviceWasRemoved() external {
        vm.prank(owner);
        app.removeDevice(Defaults.DEVICE_ID);
        _assertVerdict(false, DEVICE_REASON);
    }

    /// @dev Each field is looked up on its own list and on no other.
    function testFuzz_WhenTheValuesAreOnTheOtherList_TheyDoNotCount(bytes32 composeHash, bytes32 deviceId) external {
        vm.assume(composeHash != deviceId && composeHash != 0 && deviceId != 0);
        vm.assume(composeHash != Defaults.COMPOSE_HASH && deviceId != Defaults.DEVICE_ID);
        vm.startPrank(owner);
        app.addComposeHash(deviceId);
        app.addDevice(composeHash);
        bootInfo.composeHash = composeHash;
        bootInfo.deviceId = deviceId;
        _assertVerdict(false, HASH_REASON);
        app.addComposeHash(composeHash);
        _assertVerdict(false, DEVICE_REASON);
        app.addDevice(deviceId);
        vm.stopPrank();
        _assertVerdict(true, "");
    }

    function test_WhenAnyDeviceIsAllowed_UnknownDeviceBoots() external {
        _allowAnyDevice(true);
        bootInfo.deviceId = Defaults.OTHER_DEVICE_ID;
        _assertVerdict(true, "");
    }

    /// @dev The case described in IAppAuthBasicManagement: the removal is recorded and has no effect.
    function test_WhenAnyDeviceIsAllowed_RemovalHasNoEffectUntilTheFlagIsOff() external {
        _allowAnyDevice(true);
        vm.prank(owner);
        app.removeDevice(Defaults.DEVICE_ID);
        _assertVerdict(true, "");

        _allowAnyDevice(false);
        _assertVerdict(false, DEVICE_REASON);
    }

    function test_WhenTcbAndHashFail_TcbWins() external {
        _requireTcb();
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        bootInfo.composeHash = Defaults.OTHER_COMPOSE_HASH;
        _assertVerdict(false, TCB_REASON);
    }

    function test_WhenTcbAndDeviceFail_TcbWins() external {
        _requireTcb();
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        bootInfo.deviceId = Defaults.OTHER_DEVICE_ID;
        _assertVerdict(false, TCB_REASON);
    }

    function test_WhenHashAndDeviceFail_HashWins() external {
        bootInfo.composeHash = Defaults.OTHER_COMPOSE_HASH;
        bootInfo.deviceId = Defaults.OTHER_DEVICE_ID;
        _assertVerdict(false, HASH_REASON);
    }

    function test_WhenTcbStatusIsAlmostUpToDate() external {
        _requireTcb();
        string[10] memory almost = [
            "",
            "UpToDat",
            "UpToDate ",
            " UpToDate",
            "uptodate",
            "UPTODATE",
            "UpToDatE",
            "UpToDate\x00",
            "\x00UpToDate",
            "UpToDateUpToDateUpToDateUpToDateUpToDate"
        ];
        for (uint256 i = 0; i < almost.length; i++) {
            bootInfo.tcbStatus = almost[i];
            _assertVerdict(false, TCB_REASON);
        }
    }

    function testFuzz_WhenTcbStatusIsAnythingElse(string calldata status) external {
        vm.assume(keccak256(bytes(status)) != keccak256(bytes(Defaults.UP_TO_DATE)));
        _requireTcb();
        bootInfo.tcbStatus = status;
        _assertVerdict(false, TCB_REASON);
    }

    /// @dev Every combination of policy and machine, compared with a simple model of the rules.
    function testFuzz_EqualsModel(
        bool tcbRequired,
        bool upToDate,
        bool hashKnown,
        bool anyDevice,
        bool deviceKnown,
        bytes32 composeHash,
        bytes32 deviceId
    ) external {
        vm.assume(composeHash != Defaults.COMPOSE_HASH && deviceId != Defaults.DEVICE_ID);
        vm.assume(composeHash != 0 && deviceId != 0); // the app refuses to add them
        vm.startPrank(owner);
        app.setRequireTcbUpToDate(tcbRequired);
        app.setAllowAnyDevice(anyDevice);
        if (hashKnown) app.addComposeHash(composeHash);
        if (deviceKnown) app.addDevice(deviceId);
        vm.stopPrank();
        bootInfo.tcbStatus = upToDate ? Defaults.UP_TO_DATE : Defaults.OUT_OF_DATE;
        bootInfo.composeHash = composeHash;
        bootInfo.deviceId = deviceId;

        string memory reason = "";
        if (!anyDevice && !deviceKnown) reason = DEVICE_REASON;
        if (!hashKnown) reason = HASH_REASON;
        if (tcbRequired && !upToDate) reason = TCB_REASON;

        _assertVerdict(bytes(reason).length == 0, reason);
    }

    /// @dev Fields that the app does not read cannot change its verdict. The app id in the struct is one of them.
    function testFuzz_WhenOtherFieldsVary_VerdictStays(
        address appId,
        address instanceId,
        bytes32 mrAggregated,
        bytes32 mrSystem,
        bytes32 osImageHash,
        string[] calldata advisoryIds
    ) external view {
        IAppAuth.AppBootInfo memory info = IAppAuth.AppBootInfo({
            appId: appId,
            composeHash: Defaults.COMPOSE_HASH,
            instanceId: instanceId,
            deviceId: Defaults.DEVICE_ID,
            mrAggregated: mrAggregated,
            mrSystem: mrSystem,
            osImageHash: osImageHash,
            tcbStatus: Defaults.UP_TO_DATE,
            advisoryIds: advisoryIds
        });
        (bool isAllowed, ) = app.isAppAllowed(info);
        vm.assertTrue(isAllowed, "verdict");
    }

    /// @dev A renouncement freezes the lists and the flags; it removes nothing.
    function test_WhenOwnershipWasRenounced_VerdictsStay() external {
        vm.prank(owner);
        app.renounceOwnership();
        _assertVerdict(true, "");

        bootInfo.composeHash = Defaults.OTHER_COMPOSE_HASH;
        _assertVerdict(false, HASH_REASON);
    }

    function _requireTcb() private {
        vm.prank(owner);
        app.setRequireTcbUpToDate(true);
    }

    function _allowAnyDevice(bool on) private {
        vm.prank(owner);
        app.setAllowAnyDevice(on);
    }

    function _assertVerdict(bool expected, string memory expectedReason) private view {
        (bool isAllowed, string memory reason) = app.isAppAllowed(bootInfo);
        vm.assertEq(reason, expectedReason, "reason");
        vm.assertEq(isAllowed, expected, "verdict");
    }
}
