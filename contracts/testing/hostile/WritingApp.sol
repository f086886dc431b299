// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../interfaces/IAppAuth.sol";

/// @dev Changes its own state during the call for its verdict.
contract WritingApp {
    uint256 public timesAsked;

    function isAppAllowed(IAppAuth.AppBootInfo calldata) external returns (bool, string memory) {
        timesAsked++;
        return (true, "");
    }
}
