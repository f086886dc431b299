// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Answers every call with the same bytes, returned or reverted, whether or not they decode.
contract RawAnsweringApp {
    bytes private _answer;
    bool private _reverts;

    constructor(bytes memory answer, bool reverts) {
        _answer = answer;
        _reverts = reverts;
    }

    fallback() external {
        bytes memory answer = _answer;
        bool reverts = _reverts;
        assembly ("memory-safe") {
            if reverts {
                revert(add(answer, 0x20), mload(answer))
            }
            return(add(answer, 0x20), mload(answer))
        }
    }
}
