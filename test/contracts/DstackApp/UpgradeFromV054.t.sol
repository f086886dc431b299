// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {DstackAppV054} from "../../../contracts/testing/layouts/DstackAppV054.sol";
import {DstackKmsV054} from "../../../contracts/testing/layouts/DstackKmsV054.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Defaults} from "../support/Defaults.sol";
import {AppUpgradeBehaviour} from "../support/behaviours/AppUpgradeBehaviour.sol";

contract DstackApp_UpgradeFromV054_Test is AppUpgradeBehaviour {
    function _deployOld() internal override returns (address) {
        bytes memory initialization = abi.encodeCall(DstackKmsV054.initialize, (owner, address(new DstackAppV054())));
        DstackKmsV054 factory = DstackKmsV054(address(new ERC1967Proxy(address(new DstackKmsV054()), initialization)));
        return factory.deployAndRegisterApp(owner, false, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH);
    }

    function test_WhenUpgraded_TcbIsNotDemanded() external {
        DstackApp upgraded = _upgrade();
        vm.assertFalse(upgraded.requireTcbUpToDate(), "TCB");

        IAppAuth.AppBootInfo memory bootInfo = _bootInfo();
        bootInfo.tcbStatus = Defaults.OUT_OF_DATE;
        (bool isAllowed, ) = upgraded.isAppAllowed(bootInfo);
        vm.assertTrue(isAllowed, "machines that booted before still boot");
    }
}
