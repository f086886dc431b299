// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1822Proxiable} from "@openzeppelin/contracts/interfaces/draft-IERC1822.sol";

/// @dev Implements UUPS, but with another slot for its address.
contract ForeignSlotImplementation is IERC1822Proxiable {
    bytes32 public constant FOREIGN_SLOT = keccak256("some other slot");

    function proxiableUUID() external pure returns (bytes32) {
        return FOREIGN_SLOT;
    }
}
