// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev An app whose `supportsInterface` does not do what ERC-165 demands.
contract OddInterfaceApp is DstackApp {
    enum Oddity {
        Reverts,
        BurnsAllGas,
        AnswersTwo,
        AnswersOneByte,
        SaysYesToAll,
        SaysNoToAll,
        FailsForEpochs
    }

    Oddity private immutable _oddity;

    constructor(Oddity oddity) {
        _oddity = oddity;
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        Oddity oddity = _oddity;
        if (oddity == Oddity.SaysYesToAll) return true;
        if (oddity == Oddity.SaysNoToAll) return false;
        if (oddity == Oddity.FailsForEpochs) {
            bool isOld = super.supportsInterface(interfaceId);
            require(isOld || interfaceId == 0xffffffff, "not asked in public");
            return isOld;
        }
        assembly ("memory-safe") {
            switch oddity
            case 0 {
                revert(0, 0)
            }
            case 1 {
                invalid()
            }
            case 2 {
                mstore(0, 2)
                return(0, 0x20)
            }
            default {
                mstore(0, not(0))
                return(0, 1)
            }
        }
    }
}
