// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../interfaces/IAppAuth.sol";

/// @dev Allows every boot, with a given reason.
contract LyingApp {
    string private _reason;

    constructor(string memory reason) {
        _reason = reason;
    }

    function isAppAllowed(IAppAuth.AppBootInfo calldata) external view returns (bool, string memory) {
        return (true, _reason);
    }
}
