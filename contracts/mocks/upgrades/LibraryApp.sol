// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

library Labels {
    function digest(string memory label) external pure returns (bytes32) {
        return keccak256(bytes(label));
    }
}

/// @dev Its code must be linked to a library before it can be deployed.
contract LibraryApp is DstackApp {
    function digest(string memory label) external pure returns (bytes32) {
        return Labels.digest(label);
    }
}
