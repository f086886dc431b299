// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {DstackAppV059} from "../../../contracts/testing/layouts/DstackAppV059.sol";
import {DstackKmsV054} from "../../../contracts/testing/layouts/DstackKmsV054.sol";
import {DstackKmsV059} from "../../../contracts/testing/layouts/DstackKmsV059.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {KmsUpgradeBehaviour} from "../support/behaviours/KmsUpgradeBehaviour.sol";

contract DstackKms_UpgradeFromV059_Test is KmsUpgradeBehaviour {
    address private oldAppImplementation;
    address private oldApp;

    function setUp() public override {
        super.setUp();
        oldApp = DstackKmsV059(address(old)).deployAndRegisterApp(
            owner,
            false,
            false,
            Defaults.DEVICE_ID,
            Defaults.COMPOSE_HASH
        );
    }

    function _deployOld() internal override returns (address) {
        oldAppImplementation = address(new DstackAppV059());
        bytes memory initialization = abi.encodeCall(DstackKmsV054.initialize, (owner, oldAppImplementation));
        return address(new ERC1967Proxy(address(new DstackKmsV059()), initialization));
    }

    function _ownCells() internal view override returns (bytes32[] memory cells) {
        cells = new bytes32[](1);
        cells[0] = _mappingCell(_widen(oldApp), Slots.KMS_REGISTERED_APPS);
    }

    function test_WhenUpgraded_AppsStillBoot() external {
        IAppAuth.AppBootInfo memory bootInfo = _bootInfo();
        bootInfo.appId = oldApp;
        (bool isAllowed, ) = old.isAppAllowed(bootInfo);
        vm.assertTrue(isAllowed, "before");

        DstackKms upgraded = _upgrade();

        vm.assertTrue(upgraded.registeredApps(oldApp), "registered");
        (isAllowed, ) = upgraded.isAppAllowed(bootInfo);
        vm.assertTrue(isAllowed, "after");
    }

    function test_WhenUpgraded_FactoryKeepsItsImplementation() external {
        vm.assertEq(_upgrade().appImplementation(), oldAppImplementation, "implementation");
    }
}
