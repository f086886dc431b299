// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev The implementation itself can be initialised, by anyone.
contract UnlockedApp is DstackApp {
    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        bytes32 slot = _initializableStorageSlot();
        assembly ("memory-safe") {
            sstore(slot, 0)
        }
    }
}
