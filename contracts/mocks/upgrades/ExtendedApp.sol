// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev A user's own app: DstackApp and one more variable, after its gap.
contract ExtendedApp is DstackApp {
    string public label;

    function setLabel(string calldata newLabel) external onlyOwner {
        label = newLabel;
    }
}
