// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Says that it is of a release with key epochs, and has none of the views of the first generation.
contract EpochsOnly {
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == 0x01ffc9a7 || interfaceId == 0xc396c1b0;
    }
}
