// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {AppAuthV042} from "../../../contracts/testing/layouts/AppAuthV042.sol";
import {KmsAuthV042} from "../../../contracts/testing/layouts/KmsAuthV042.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {KmsUpgradeBehaviour} from "../support/behaviours/KmsUpgradeBehaviour.sol";

/// @dev The lists of the owner stay. The factory and every app are lost.
contract DstackKms_UpgradeFromV042_Test is KmsUpgradeBehaviour {
    address private oldAppImplementation;
    address private oldAppId;
    address private oldController;

    function setUp() public override {
        super.setUp();
        (oldAppId, oldController) = KmsAuthV042(address(old)).deployAndRegisterApp(
            owner,
            false,
            false,
            Defaults.DEVICE_ID,
            Defaults.COMPOSE_HASH
        );
    }

    function _deployOld() internal override returns (address) {
        oldAppImplementation = address(new AppAuthV042());
        bytes memory initialization = abi.encodeCall(KmsAuthV042.initialize, (owner, oldAppImplementation));
        return address(new ERC1967Proxy(address(new KmsAuthV042()), initialization));
    }

    function _ownCells() internal view override returns (bytes32[] memory cells) {
        cells = new bytes32[](2);
        cells[0] = _mappingCell(_widen(oldAppId), Slots.KMS_REGISTERED_APPS);
        cells[1] = _mappingCell(_widen(address(this)), 9);
    }

    function test_WhenUpgraded_AppsStayRegisteredAndNoLongerBoot() external {
        IAppAuth.AppBootInfo memory bootInfo = _bootInfo();
        bootInfo.appId = oldAppId;
        (bool isAllowed, string memory reason) = old.isAppAllowed(bootInfo);
        vm.assertTrue(isAllowed, "before");

        DstackKms upgraded = _upgrade();

        vm.assertTrue(upgraded.registeredApps(oldAppId), "the id stays registered");
        vm.assertFalse(upgraded.registeredApps(oldController), "its contract never was");
        (isAllowed, reason) = upgraded.isAppAllowed(bootInfo);
        vm.assertFalse(isAllowed, "after");
        vm.assertEq(reason, "App not deployed or invalid address", "reason");
    }

    function test_WhenUpgraded_FactoryHasLostItsImplementation() external {
        DstackKms upgraded = _upgrade();

        vm.assertEq(upgraded.appImplementation(), address(0), "implementation");
        vm.assertEq(
            vm.load(address(old), bytes32(Slots.KMS_GAP)),
            _widen(oldAppImplementation),
            "the older one is left in the gap"
        );
        vm.expectRevert(_reason("DstackApp implementation not set"));
        upgraded.deployAndRegisterApp(owner, false, true, 0, 0);
    }
}
