// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Burns all the gas that it is given.
contract GasBurningApp {
    fallback() external {
        assembly ("memory-safe") {
            invalid()
        }
    }
}
