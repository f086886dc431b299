// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../../DstackKms.sol";

/// @dev A KMS with key epochs, of our own design like EpochApp.
contract EpochKms is DstackKms {
    bytes4 private immutable _epochInterface;

    uint64 public rootEpoch;
    mapping(uint64 epoch => mapping(bytes32 osImageHash => bool)) private _laterOsImages;

    constructor(bytes4 epochInterface) {
        _epochInterface = epochInterface;
    }

    function advanceEpoch(bytes32 firstOsImage) external onlyOwner {
        rootEpoch++;
        _laterOsImages[rootEpoch][firstOsImage] = true;
    }

    function isOsImageAllowedNow(bytes32 osImageHash) external view returns (bool) {
        return rootEpoch == 0 ? allowedOsImages[osImageHash] : _laterOsImages[rootEpoch][osImageHash];
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == _epochInterface || super.supportsInterface(interfaceId);
    }
}
