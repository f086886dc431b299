// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {DstackAppV059} from "../../../contracts/testing/layouts/DstackAppV059.sol";
import {Defaults} from "../support/Defaults.sol";
import {ReleaseV059} from "../support/Releases.sol";
import {AppUpgradeBehaviour} from "../support/behaviours/AppUpgradeBehaviour.sol";

contract DstackApp_UpgradeFromV059_Test is AppUpgradeBehaviour {
    function _deployOld() internal override returns (address) {
        (address factory, ) = ReleaseV059.deployKms(owner);
        return ReleaseV059.createApp(factory, owner);
    }

    function test_WhenTcbWasRequired_ItStaysRequired() external {
        vm.prank(owner);
        DstackAppV059(address(old)).setRequireTcbUpToDate(true);

        DstackApp upgraded = _upgrade();

        vm.assertTrue(upgraded.requireTcbUpToDate(), "TCB");
        IAppAuth.AppBootInfo memory bootInfo = _bootInfo();
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        (, string memory reason) = upgraded.isAppAllowed(bootInfo);
        vm.assertEq(reason, "TCB status is not up to date", "reason");
    }
}
