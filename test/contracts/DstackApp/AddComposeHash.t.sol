// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {ListWriteBehaviour} from "../support/behaviours/ListWriteBehaviour.sol";

contract DstackApp_AddComposeHash_Test is ListWriteBehaviour {
    function _target() internal view override returns (address) {
        return address(app);
    }

    function _call(bytes32 value) internal override {
        app.addComposeHash(value);
    }

    function _has(bytes32 value) internal view override returns (bool) {
        return app.allowedComposeHashes(value);
    }

    function _list() internal pure override returns (uint256) {
        return Slots.APP_ALLOWED_COMPOSE_HASHES;
    }

    function _topic() internal pure override returns (bytes32) {
        return Topics.COMPOSE_HASH_ADDED;
    }

    function _policy() internal pure override returns (string memory) {
        return "compose-hash";
    }

    function _adds() internal pure override returns (bool) {
        return true;
    }

    function _zeroRefusal() internal pure override returns (string memory) {
        return "invalid compose hash";
    }
}
