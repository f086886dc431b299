// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {FlagWriteBehaviour} from "../support/behaviours/FlagWriteBehaviour.sol";

contract DstackApp_SetRequireTcbUpToDate_Test is FlagWriteBehaviour {
    function _set(bool on) internal override {
        app.setRequireTcbUpToDate(on);
    }

    function _isSet() internal view override returns (bool) {
        return app.requireTcbUpToDate();
    }

    function _cell() internal pure override returns (uint256 slot, uint256 offset) {
        return (Slots.APP_REQUIRE_TCB_UP_TO_DATE, 0);
    }

    function _topic() internal pure override returns (bytes32) {
        return Topics.REQUIRE_TCB_UP_TO_DATE_SET;
    }

    function _policy() internal pure override returns (string memory) {
        return "require-tcb-up-to-date";
    }
}
