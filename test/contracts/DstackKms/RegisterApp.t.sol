// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Base_Test} from "../support/Base.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";

contract DstackKms_RegisterApp_Test is Base_Test {
    /// @dev Permissionless on purpose: any caller may register any address.
    function testFuzz_WhenCalledByAnyone(address caller, address appId) external {
        vm.assume(appId != address(0) && caller != address(vm));
        _startRecording();

        vm.prank(caller);
        kms.registerApp(appId);

        _assertLogs(_expectedLogs(caller, appId));
        _assertWritesOnly(address(kms), _mappingCell(_widen(appId), Slots.KMS_REGISTERED_APPS));
        vm.assertTrue(kms.registeredApps(appId), "getter");
    }

    function testFuzz_WhenRepeated_SucceedsAndEmitsAgain(address caller) external {
        vm.assume(caller != address(vm));
        _startRecording();

        vm.prank(caller);
        kms.registerApp(address(app));

        _assertLogs(_expectedLogs(caller, address(app)));
        vm.assertTrue(kms.registeredApps(address(app)), "getter");
    }

    function testFuzz_WhenCalled_OtherAppsStay(address appId, address other) external {
        vm.assume(appId != address(0) && other != appId && other != address(app));
        kms.registerApp(appId);
        vm.assertFalse(kms.registeredApps(other), "another address");
    }

    function testFuzz_RevertWhen_AppIdIsZero(address caller) external {
        vm.assume(caller != address(vm));
        _startRecording();

        vm.expectRevert(_reason("Invalid app ID"));
        vm.prank(caller);
        kms.registerApp(address(0));

        _assertNoLogs();
        _assertWritesNothing(address(kms));
    }

    /// @dev Registering in advance the address the factory uses next neither stops nor alters the app.
    function test_WhenAddressWasRegisteredBefore_TheFactoryStillCreatesTheApp() external {
        address next = vm.computeCreateAddress(address(kms), vm.getNonce(address(kms)));
        vm.prank(stranger);
        kms.registerApp(next);

        address created = kms.deployAndRegisterApp(owner, false, true, 0, 0);

        vm.assertEq(created, next, "the address that was registered");
        vm.assertTrue(kms.registeredApps(created), "registered");
    }

    /// @dev Registration alone only changes the reason of the refusal.
    function test_WhenOnlyRegistered_AppIsStillRefused() external {
        IAppAuth.AppBootInfo memory bootInfo = _bootInfo();
        bootInfo.appId = stranger;
        vm.prank(stranger);
        kms.registerApp(stranger);

        (bool isAllowed, string memory reason) = kms.isAppAllowed(bootInfo);
        vm.assertFalse(isAllowed, "verdict");
        vm.assertEq(reason, "App not deployed or invalid address", "reason");
    }

    function _expectedLogs(address caller, address appId) private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(address(kms), Topics.APP_REGISTERED, abi.encode(appId)),
                _policyChanged(address(kms), caller, "registered-app", _widen(appId), true)
            );
    }
}
