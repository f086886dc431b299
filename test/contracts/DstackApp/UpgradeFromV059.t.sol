// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {DstackAppV059} from "../../../contracts/testing/layouts/DstackAppV059.sol";
import {DstackKmsV059} from "../../../contracts/testing/layouts/DstackKmsV059.sol";
import {DstackKmsV054} from "../../../contracts/testing/layouts/DstackKmsV054.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Defaults} from "../support/Defaults.sol";
import {AppUpgradeBehaviour} from "../support/behaviours/AppUpgradeBehaviour.sol";

contract DstackApp_UpgradeFromV059_Test is AppUpgradeBehaviour {
    function _deployOld() internal override returns (address) {
        bytes memory initialization = abi.encodeCall(DstackKmsV054.initialize, (owner, address(new DstackAppV059())));
        DstackKmsV059 factory = DstackKmsV059(address(new ERC1967Proxy(address(new DstackKmsV059()), initialization)));
        return factory.deployAndRegisterApp(owner, false, false, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH);
    }

    function test_WhenTcbWasDemanded_ItStaysDemanded() external {
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
