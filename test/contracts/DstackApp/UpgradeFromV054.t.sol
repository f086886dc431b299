// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Defaults} from "../support/Defaults.sol";
import {ReleaseV054} from "../support/Releases.sol";
import {AppUpgradeBehaviour} from "../support/behaviours/AppUpgradeBehaviour.sol";

contract DstackApp_UpgradeFromV054_Test is AppUpgradeBehaviour {
    function _deployOld() internal override returns (address) {
        (address factory, ) = ReleaseV054.deployKms(owner);
        return ReleaseV054.createApp(factory, owner);
    }

    function test_WhenUpgraded_TcbIsNotRequired() external {
        DstackApp upgraded = _upgrade();
        vm.assertFalse(upgraded.requireTcbUpToDate(), "TCB");

        IAppAuth.AppBootInfo memory bootInfo = _bootInfo();
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        (bool isAllowed, ) = upgraded.isAppAllowed(bootInfo);
        vm.assertTrue(isAllowed, "machines that booted before still boot");
    }
}
