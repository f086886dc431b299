// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ReleaseV054} from "../support/Releases.sol";
import {FactoryUpgradeBehaviour} from "../support/behaviours/FactoryUpgradeBehaviour.sol";

contract DstackKms_UpgradeFromV054_Test is FactoryUpgradeBehaviour {
    function _deployKms() internal override returns (address, address) {
        return ReleaseV054.deployKms(owner);
    }

    function _createApp(address kms) internal override returns (address) {
        return ReleaseV054.createApp(kms, owner);
    }
}
