// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev Anyone may change its lists and upgrade it.
contract OpenApp is DstackApp {
    function _checkOwner() internal view override {}
}
