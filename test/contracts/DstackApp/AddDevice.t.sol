// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {ListWriteBehaviour} from "../support/behaviours/ListWriteBehaviour.sol";

contract DstackApp_AddDevice_Test is ListWriteBehaviour {
    function _target() internal view override returns (address) {
        return address(app);
    }

    function _call(bytes32 value) internal override {
        app.addDevice(value);
    }

    function _has(bytes32 value) internal view override returns (bool) {
        return app.allowedDeviceIds(value);
    }

    function _list() internal pure override returns (uint256) {
        return Slots.APP_ALLOWED_DEVICE_IDS;
    }

    function _topic() internal pure override returns (bytes32) {
        return Topics.DEVICE_ADDED;
    }

    function _policy() internal pure override returns (string memory) {
        return "device";
    }

    function _adds() internal pure override returns (bool) {
        return true;
    }

    function _zeroRefusal() internal pure override returns (string memory) {
        return "invalid device ID";
    }
}
