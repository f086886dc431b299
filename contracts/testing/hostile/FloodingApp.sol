// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Returns a given number of zero bytes.
contract FloodingApp {
    uint256 private immutable _length;

    constructor(uint256 length) {
        _length = length;
    }

    fallback() external {
        uint256 length = _length;
        assembly ("memory-safe") {
            // Memory behind the free pointer was never written.
            return(mload(0x40), length)
        }
    }
}
