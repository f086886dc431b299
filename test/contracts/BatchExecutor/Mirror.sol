// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Folds the callers, values and data of all its calls into one word.
contract Mirror {
    bytes32 public seen;

    fallback(bytes calldata data) external payable returns (bytes memory) {
        seen = fold(seen, msg.sender, msg.value, data);
        return "";
    }

    receive() external payable {
        seen = fold(seen, msg.sender, msg.value, "");
    }

    function fold(bytes32 before, address caller, uint256 value, bytes memory data) public pure returns (bytes32) {
        return keccak256(abi.encode(before, caller, value, data));
    }
}
