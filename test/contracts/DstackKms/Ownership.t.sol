// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Defaults} from "../support/Defaults.sol";
import {OwnableLike} from "../support/OwnableLike.sol";
import {OwnershipBehaviour} from "../support/behaviours/OwnershipBehaviour.sol";

contract DstackKms_Ownership_Test is OwnershipBehaviour {
    function _ownable() internal view override returns (OwnableLike) {
        return OwnableLike(address(kms));
    }

    function _ownerOnlyCall() internal override {
        kms.addOsImageHash(Defaults.OTHER_OS_IMAGE_HASH);
    }
}
