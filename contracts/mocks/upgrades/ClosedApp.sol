// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev Not even the owner may change its lists or upgrade it.
contract ClosedApp is DstackApp {
    error Closed();

    function _checkOwner() internal pure override {
        revert Closed();
    }
}
