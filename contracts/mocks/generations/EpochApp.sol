// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev An app with key epochs, of our own design: the functions of the public ones are not known. It says that it has
/// them by an interface id; the lists of DstackApp are those of epoch 0, every later epoch has its own.
contract EpochApp is DstackApp {
    bytes4 private immutable _epochInterface;

    uint64 public appEpoch;
    mapping(uint64 epoch => mapping(bytes32 composeHash => bool)) private _laterHashes;

    constructor(bytes4 epochInterface) {
        _epochInterface = epochInterface;
    }

    /// @dev After this the lists of DstackApp have no effect.
    function advanceEpoch(bytes32 firstComposeHash) external onlyOwner {
        appEpoch++;
        _laterHashes[appEpoch][firstComposeHash] = true;
    }

    function isAllowedNow(bytes32 composeHash) external view returns (bool) {
        return appEpoch == 0 ? allowedComposeHashes[composeHash] : _laterHashes[appEpoch][composeHash];
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == _epochInterface || super.supportsInterface(interfaceId);
    }
}
