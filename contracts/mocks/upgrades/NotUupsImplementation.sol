// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Has code, but nothing of UUPS: a proxy moved here could never move again.
contract NotUupsImplementation {
    function version() external pure returns (uint256) {
        return 3;
    }
}
