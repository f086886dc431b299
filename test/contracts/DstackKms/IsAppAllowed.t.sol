// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

/// @dev HostileApps.t.sol has the malicious apps.
contract DstackKms_IsAppAllowed_Test is Base_Test {
    string private constant REGISTRATION_REASON = "App not registered";
    string private constant IMAGE_REASON = "OS image is not allowed";
    string private constant CODE_REASON = "App not deployed or invalid address";
    string private constant HASH_REASON = "Compose hash not allowed";

    IAppAuth.AppBootInfo private bootInfo;

    function setUp() public override {
        super.setUp();
        bootInfo = _bootInfo();
    }

    function test_WhenEveryRulePasses() external view {
        _assertVerdict(true, "");
    }

    function test_WhenAppIsNotRegistered() external {
        bootInfo.appId = _unregisteredApp();
        _assertVerdict(false, REGISTRATION_REASON);
    }

    function test_WhenImageIsUnknown() external {
        _breakImage();
        _assertVerdict(false, IMAGE_REASON);
    }

    function test_WhenImageWasRemoved() external {
        vm.prank(owner);
        kms.removeOsImageHash(Defaults.OS_IMAGE_HASH);
        _assertVerdict(false, IMAGE_REASON);
    }

    function test_WhenAppHasNoCode() external {
        _registerAddressWithoutCode();
        _assertVerdict(false, CODE_REASON);
    }

    function test_WhenAppRefuses_ItsReasonIsForwarded() external {
        _makeAppRefuse();
        _assertVerdict(false, HASH_REASON);
    }

    function test_WhenAppIsUnregisteredAndImageUnknown_RegistrationWins() external {
        bootInfo.appId = _unregisteredApp();
        _breakImage();
        _assertVerdict(false, REGISTRATION_REASON);
    }

    function test_WhenAppIsUnregisteredAndHasNoCode_RegistrationWins() external {
        bootInfo.appId = stranger;
        _assertVerdict(false, REGISTRATION_REASON);
    }

    function test_WhenAppIsUnregisteredAndRefuses_RegistrationWins() external {
        bootInfo.appId = _unregisteredApp();
        _makeAppRefuse();
        _assertVerdict(false, REGISTRATION_REASON);
    }

    function test_WhenImageIsUnknownAndAppHasNoCode_ImageWins() external {
        _registerAddressWithoutCode();
        _breakImage();
        _assertVerdict(false, IMAGE_REASON);
    }

    function test_WhenImageIsUnknownAndAppRefuses_ImageWins() external {
        _makeAppRefuse();
        _breakImage();
        _assertVerdict(false, IMAGE_REASON);
    }

    /// @dev The app and not the KMS checks the platform's state and the machine.
    function test_WhenTcbIsOutOfDate_TheAppDecides() external {
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        _assertVerdict(true, "");

        vm.prank(owner);
        app.setRequireTcbUpToDate(true);
        _assertVerdict(false, "TCB status is not up to date");
    }

    function test_WhenDeviceIsUnknown_TheAppDecides() external {
        bootInfo.deviceId = Defaults.OTHER_DEVICE_ID;
        _assertVerdict(false, "Device not allowed");

        vm.prank(owner);
        app.setAllowAnyDevice(true);
        _assertVerdict(true, "");
    }

    /// @dev The app receives the whole struct unchanged: both contracts return the same when the KMS's own rules pass.
    function testFuzz_WhenKmsRulesPass_AnswerIsTheAppsOwn(
        bytes32 composeHash,
        bytes32 deviceId,
        bool hashKnown,
        bool deviceKnown,
        bool tcbRequired,
        string calldata tcbStatus,
        string[] calldata advisoryIds
    ) external {
        vm.assume(composeHash != 0 && deviceId != 0); // the app refuses to add them
        vm.startPrank(owner);
        app.setRequireTcbUpToDate(tcbRequired);
        if (hashKnown) app.addComposeHash(composeHash);
        if (deviceKnown) app.addDevice(deviceId);
        vm.stopPrank();
        IAppAuth.AppBootInfo memory info = _bootInfo();
        info.composeHash = composeHash;
        info.deviceId = deviceId;
        info.tcbStatus = tcbStatus;
        info.advisoryIds = advisoryIds;

        (bool isAllowed, string memory reason) = kms.isAppAllowed(info);
        (bool appAllows, string memory appReason) = app.isAppAllowed(info);

        vm.assertEq(isAllowed, appAllows, "verdict");
        vm.assertEq(reason, appReason, "reason");
    }

    /// @dev Every combination of the KMS's own rules, compared with a simple model of them.
    function testFuzz_EqualsModel(
        bool registered,
        bool imageKnown,
        bool hasCode,
        bool appAllows,
        bytes32 osImageHash
    ) external {
        vm.startPrank(owner);
        if (imageKnown) kms.addOsImageHash(osImageHash);
        else kms.removeOsImageHash(osImageHash);
        vm.stopPrank();
        bootInfo.osImageHash = osImageHash;
        bootInfo.appId = hasCode ? (registered ? address(app) : _unregisteredApp()) : stranger;
        if (registered && !hasCode) kms.registerApp(stranger);
        if (!appAllows) _makeAppRefuse();

        string memory reason = "";
        if (!appAllows) reason = HASH_REASON;
        if (!hasCode) reason = CODE_REASON;
        if (!imageKnown) reason = IMAGE_REASON;
        if (!registered) reason = REGISTRATION_REASON;

        _assertVerdict(bytes(reason).length == 0, reason);
    }

    /// @dev An implementation has code and answers, but it is not registered.
    function _unregisteredApp() private view returns (address) {
        return address(appImplementation);
    }

    function _breakImage() private {
        bootInfo.osImageHash = Defaults.OTHER_OS_IMAGE_HASH;
    }

    function _makeAppRefuse() private {
        bootInfo.composeHash = Defaults.OTHER_COMPOSE_HASH;
    }

    function _registerAddressWithoutCode() private {
        kms.registerApp(stranger);
        bootInfo.appId = stranger;
    }

    function _assertVerdict(bool expected, string memory expectedReason) private view {
        (bool isAllowed, string memory reason) = kms.isAppAllowed(bootInfo);
        vm.assertEq(reason, expectedReason, "reason");
        vm.assertEq(isAllowed, expected, "verdict");
    }
}
