// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {FlagWriteBehaviour} from "../support/behaviours/FlagWriteBehaviour.sol";

contract DstackApp_SetAllowAnyDevice_Test is FlagWriteBehaviour {
    function _set(bool on) internal override {
        app.setAllowAnyDevice(on);
    }

    function _isSet() internal view override returns (bool) {
        return app.allowAnyDevice();
    }

    function _cell() internal pure override returns (uint256 slot, uint256 offset) {
        return (Slots.APP_FLAGS, 1);
    }

    function _topic() internal pure override returns (bytes32) {
        return Topics.ALLOW_ANY_DEVICE_SET;
    }

    function _policy() internal pure override returns (string memory) {
        return "allow-any-device";
    }
}
