// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ReleaseV059} from "../support/Releases.sol";
import {FactoryUpgradeBehaviour} from "../support/behaviours/FactoryUpgradeBehaviour.sol";

contract DstackKms_UpgradeFromV059_Test is FactoryUpgradeBehaviour {
    function _deployKms() internal override returns (address, address) {
        return ReleaseV059.deployKms(owner);
    }

    function _createApp(address kms) internal override returns (address) {
        return ReleaseV059.createApp(kms, owner);
    }
}
