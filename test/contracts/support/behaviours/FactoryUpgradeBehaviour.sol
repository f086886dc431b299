// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../../../../contracts/DstackKms.sol";
import {IAppAuth} from "../../../../contracts/interfaces/IAppAuth.sol";
import {Slots} from "../Slots.sol";
import {KmsUpgradeBehaviour} from "./KmsUpgradeBehaviour.sol";

/// @dev What an upgrade also keeps of a KMS with a factory in the same slots: its apps and their implementation.
abstract contract FactoryUpgradeBehaviour is KmsUpgradeBehaviour {
    address private oldAppImplementation;
    address private oldApp;

    /// @dev A proxy of `owner`, and the implementation of its apps.
    function _deployKms() internal virtual returns (address kms, address appImplementation);

    /// @dev An app of `owner` from this factory.
    function _createApp(address kms) internal virtual returns (address);

    function setUp() public override {
        super.setUp();
        oldApp = _createApp(address(old));
    }

    function _deployOld() internal override returns (address kms) {
        (kms, oldAppImplementation) = _deployKms();
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
