// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Has code without UUPS: a proxy with this implementation could never be upgraded again.
contract NotUupsImplementation {
    function version() external pure returns (uint256) {
        return 3;
    }
}
