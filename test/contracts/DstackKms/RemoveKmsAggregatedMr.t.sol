// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {ListWriteBehaviour} from "../support/behaviours/ListWriteBehaviour.sol";

contract DstackKms_RemoveKmsAggregatedMr_Test is ListWriteBehaviour {
    function _target() internal view override returns (address) {
        return address(kms);
    }

    function _call(bytes32 value) internal override {
        kms.removeKmsAggregatedMr(value);
    }

    function _has(bytes32 value) internal view override returns (bool) {
        return kms.kmsAllowedAggregatedMrs(value);
    }

    function _list() internal pure override returns (uint256) {
        return Slots.KMS_ALLOWED_AGGREGATED_MRS;
    }

    function _topic() internal pure override returns (bytes32) {
        return Topics.KMS_AGGREGATED_MR_REMOVED;
    }

    function _policy() internal pure override returns (string memory) {
        return "kms-aggregated-mr";
    }

    function _adds() internal pure override returns (bool) {
        return false;
    }
}
