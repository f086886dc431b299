// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

contract DstackKms_IsKmsAllowed_Test is Base_Test {
    string private constant TCB_REASON = "TCB status is not up to date";
    string private constant IMAGE_REASON = "OS image is not allowed";
    string private constant MR_REASON = "Aggregated MR not allowed";
    string private constant DEVICE_REASON = "KMS is not allowed to boot on this device";

    IAppAuth.AppBootInfo private bootInfo;

    function setUp() public override {
        super.setUp();
        bootInfo = _kmsBootInfo();
    }

    function test_WhenEveryRulePasses() external view {
        _assertVerdict(true, "");
    }

    function test_WhenTcbIsOutOfDate() external {
        _breakTcb();
        _assertVerdict(false, TCB_REASON);
    }

    function test_WhenImageIsUnknown() external {
        _breakImage();
        _assertVerdict(false, IMAGE_REASON);
    }

    function test_WhenMrIsUnknown() external {
        _breakMr();
        _assertVerdict(false, MR_REASON);
    }

    function test_WhenDeviceIsUnknown() external {
        _breakDevice();
        _assertVerdict(false, DEVICE_REASON);
    }

    function test_WhenImageWasRemoved() external {
        vm.prank(owner);
        kms.removeOsImageHash(Defaults.OS_IMAGE_HASH);
        _assertVerdict(false, IMAGE_REASON);
    }

    function test_WhenMrWasRemoved() external {
        vm.prank(owner);
        kms.removeKmsAggregatedMr(Defaults.MR_AGGREGATED);
        _assertVerdict(false, MR_REASON);
    }

    function test_WhenDeviceWasRemoved() external {
        vm.prank(owner);
        kms.removeKmsDevice(Defaults.KMS_DEVICE_ID);
        _assertVerdict(false, DEVICE_REASON);
    }

    function test_WhenTcbAndImageFail_TcbWins() external {
        _breakTcb();
        _breakImage();
        _assertVerdict(false, TCB_REASON);
    }

    function test_WhenTcbAndMrFail_TcbWins() external {
        _breakTcb();
        _breakMr();
        _assertVerdict(false, TCB_REASON);
    }

    function test_WhenTcbAndDeviceFail_TcbWins() external {
        _breakTcb();
        _breakDevice();
        _assertVerdict(false, TCB_REASON);
    }

    function test_WhenImageAndMrFail_ImageWins() external {
        _breakImage();
        _breakMr();
        _assertVerdict(false, IMAGE_REASON);
    }

    function test_WhenImageAndDeviceFail_ImageWins() external {
        _breakImage();
        _breakDevice();
        _assertVerdict(false, IMAGE_REASON);
    }

    function test_WhenMrAndDeviceFail_MrWins() external {
        _breakMr();
        _breakDevice();
        _assertVerdict(false, MR_REASON);
    }

    function test_WhenTcbStatusIsAlmostUpToDate() external {
        string[9] memory almost = [
            "",
            "UpToDat",
            "UpToDate ",
            " UpToDate",
            "uptodate",
            "UPTODATE",
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
        bootInfo.tcbStatus = status;
        _assertVerdict(false, TCB_REASON);
    }

    /// @dev Every combination of lists and node, compared with a simple model of the rules.
    function testFuzz_EqualsModel(
        bool upToDate,
        bool imageKnown,
        bool mrKnown,
        bool deviceKnown,
        bytes32 osImageHash,
        bytes32 mrAggregated,
        bytes32 deviceId
    ) external {
        vm.startPrank(owner);
        if (imageKnown) kms.addOsImageHash(osImageHash);
        else kms.removeOsImageHash(osImageHash);
        if (mrKnown) kms.addKmsAggregatedMr(mrAggregated);
        else kms.removeKmsAggregatedMr(mrAggregated);
        if (deviceKnown) kms.addKmsDevice(deviceId);
        else kms.removeKmsDevice(deviceId);
        vm.stopPrank();
        bootInfo.tcbStatus = upToDate ? Defaults.UP_TO_DATE : Defaults.OUT_OF_DATE;
        bootInfo.osImageHash = osImageHash;
        bootInfo.mrAggregated = mrAggregated;
        bootInfo.deviceId = deviceId;

        string memory reason = "";
        if (!deviceKnown) reason = DEVICE_REASON;
        if (!mrKnown) reason = MR_REASON;
        if (!imageKnown) reason = IMAGE_REASON;
        if (!upToDate) reason = TCB_REASON;

        _assertVerdict(bytes(reason).length == 0, reason);
    }

    /// @dev Each field is looked up on its own list and on no other.
    function testFuzz_WhenTheValuesAreOnOtherLists_TheyDoNotCount(bytes32 image, bytes32 mr, bytes32 device) external {
        vm.assume(image != mr && mr != device && device != image);
        vm.assume(image != Defaults.OS_IMAGE_HASH && mr != Defaults.MR_AGGREGATED && device != Defaults.KMS_DEVICE_ID);
        vm.startPrank(owner);
        kms.addOsImageHash(mr);
        kms.addOsImageHash(device);
        kms.addKmsAggregatedMr(image);
        kms.addKmsAggregatedMr(device);
        kms.addKmsDevice(image);
        kms.addKmsDevice(mr);
        bootInfo.osImageHash = image;
        bootInfo.mrAggregated = mr;
        bootInfo.deviceId = device;
        _assertVerdict(false, IMAGE_REASON);
        kms.addOsImageHash(image);
        _assertVerdict(false, MR_REASON);
        kms.addKmsAggregatedMr(mr);
        _assertVerdict(false, DEVICE_REASON);
        kms.addKmsDevice(device);
        vm.stopPrank();
        _assertVerdict(true, "");
    }

    /// @dev The fields of an app have no effect, and neither has its registration.
    function testFuzz_WhenAppFieldsVary_VerdictStays(address appId, bytes32 composeHash, bytes32 mrSystem) external {
        bootInfo.appId = appId;
        bootInfo.composeHash = composeHash;
        bootInfo.mrSystem = mrSystem;
        _assertVerdict(true, "");
    }

    function _breakTcb() private {
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
    }

    function _breakImage() private {
        bootInfo.osImageHash = Defaults.OTHER_OS_IMAGE_HASH;
    }

    function _breakMr() private {
        bootInfo.mrAggregated = Defaults.OTHER_MR_AGGREGATED;
    }

    function _breakDevice() private {
        bootInfo.deviceId = Defaults.OTHER_KMS_DEVICE_ID;
    }

    function _assertVerdict(bool expected, string memory expectedReason) private view {
        (bool isAllowed, string memory reason) = kms.isKmsAllowed(bootInfo);
        vm.assertEq(reason, expectedReason, "reason");
        vm.assertEq(isAllowed, expected, "verdict");
    }
}
