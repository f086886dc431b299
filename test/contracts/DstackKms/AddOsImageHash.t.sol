// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {ListWriteBehaviour} from "../support/behaviours/ListWriteBehaviour.sol";

contract DstackKms_AddOsImageHash_Test is ListWriteBehaviour {
    function _target() internal view override returns (address) {
        return address(kms);
    }

    function _call(bytes32 value) internal override {
        kms.addOsImageHash(value);
    }

    function _has(bytes32 value) internal view override returns (bool) {
        return kms.allowedOsImages(value);
    }

    function _list() internal pure override returns (uint256) {
        return Slots.KMS_ALLOWED_OS_IMAGES;
    }

    function _topic() internal pure override returns (bytes32) {
        return Topics.OS_IMAGE_HASH_ADDED;
    }

    function _policy() internal pure override returns (string memory) {
        return "os-image";
    }

    function _adds() internal pure override returns (bool) {
        return true;
    }
}
