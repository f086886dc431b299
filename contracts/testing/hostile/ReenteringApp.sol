// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Calls back during the call for its verdict, and returns as its verdict whether that call succeeded.
contract ReenteringApp {
    address private immutable _target;
    bytes private _call;

    constructor(address target, bytes memory call) {
        _target = target;
        _call = call;
    }

    fallback() external {
        (bool ok, ) = _target.call(_call);
        bytes memory answer = abi.encode(ok, ok ? "reentered" : "was kept out");
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
    }
}
