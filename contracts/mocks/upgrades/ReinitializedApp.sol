// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ExtendedApp} from "./ExtendedApp.sol";

/// @dev Must be initialised in the transaction of the upgrade: anyone may call its reinitialiser, once.
contract ReinitializedApp is ExtendedApp {
    function initializeLabel(string calldata firstLabel) external reinitializer(2) {
        label = firstLabel;
    }
}
