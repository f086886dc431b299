// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev Runs code of other contracts in its own storage, and can destroy itself.
contract DelegatingApp is DstackApp {
    error Failed();

    function run(address target, bytes calldata data) external onlyOwner {
        (bool isSuccess, ) = target.delegatecall(data);
        if (!isSuccess) revert Failed();
    }

    function destroy() external onlyOwner {
        selfdestruct(payable(msg.sender));
    }
}
