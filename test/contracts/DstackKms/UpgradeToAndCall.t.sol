// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {UpgradeBehaviour} from "../support/behaviours/UpgradeBehaviour.sol";

contract DstackKms_UpgradeToAndCall_Test is UpgradeBehaviour {
    function _target() internal view override returns (address) {
        return address(kms);
    }

    function _implementation() internal view override returns (address) {
        return address(kmsImplementation);
    }

    function _newImplementation() internal override returns (address) {
        return address(new DstackKms());
    }

    function test_RevertWhen_UpgradeInitializesAgain() external {
        vm.expectRevert(abi.encodePacked(Initializable.InvalidInitialization.selector));
        vm.prank(owner);
        kms.upgradeToAndCall(
            address(kmsImplementation),
            abi.encodeCall(DstackKms.initialize, (stranger, address(appImplementation)))
        );
    }
}
