// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.22;

import {DstackApp} from "dstack-toolkit/contracts/DstackApp.sol";
import {IDstackKms} from "dstack-toolkit/contracts/interfaces/IDstackKms.sol";

/// A user's own app contract, built on ours.
contract CountingApp is DstackApp {
    IDstackKms public kms;
    uint256 public boots;

    function count(IDstackKms kms_) external onlyOwner {
        kms = kms_;
        boots += 1;
    }
}
