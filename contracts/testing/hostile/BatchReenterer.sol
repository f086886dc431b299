// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IBatchExecutor} from "../../interfaces/IBatchExecutor.sol";

/// @dev Calls its caller back with a batch of its own, and forwards or hides the revert, as set.
contract BatchReenterer {
    address private immutable _victim;
    bool private immutable _hides;
    bool public wasKeptOut;

    constructor(address victim, bool hides) {
        _victim = victim;
        _hides = hides;
    }

    fallback() external {
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](1);
        calls[0] = IBatchExecutor.Call({to: _victim, value: 0, data: msg.data});
        bytes memory batch = abi.encodeCall(IBatchExecutor.execute, (bytes32(bytes1(0x01)), abi.encode(calls)));
        (bool ok, bytes memory reason) = msg.sender.call(batch);
        wasKeptOut = !ok;
        if (ok || _hides) return;
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}
