// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../DstackApp.sol";
import {IDstackAppBatch} from "./IDstackAppBatch.sol";

/// @title DstackApp with several changes in one call
/// @dev Has no state.
abstract contract DstackAppBatch is DstackApp, IDstackAppBatch {
    /// @inheritdoc IDstackAppBatch
    function addComposeHashes(bytes32[] calldata composeHashes) external virtual onlyOwner {
        if (composeHashes.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < composeHashes.length; i++) _addNewComposeHash(composeHashes[i]);
    }

    /// @inheritdoc IDstackAppBatch
    function removeComposeHashes(bytes32[] calldata composeHashes) external virtual onlyOwner {
        if (composeHashes.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < composeHashes.length; i++) _removeKnownComposeHash(composeHashes[i]);
    }

    /// @inheritdoc IDstackAppBatch
    function addDevices(bytes32[] calldata deviceIds) external virtual onlyOwner {
        if (deviceIds.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < deviceIds.length; i++) {
            require(deviceIds[i] != 0, "invalid device ID");
            if (!_addDevice(deviceIds[i])) revert EntryUnchanged(deviceIds[i]);
        }
    }

    /// @inheritdoc IDstackAppBatch
    function removeDevices(bytes32[] calldata deviceIds) external virtual onlyOwner {
        if (deviceIds.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < deviceIds.length; i++) {
            if (!_removeDevice(deviceIds[i])) revert EntryUnchanged(deviceIds[i]);
        }
    }

    /// @inheritdoc IDstackAppBatch
    function replaceComposeHash(bytes32 oldHash, bytes32 newHash) external virtual onlyOwner {
        _addNewComposeHash(newHash);
        if (!allowedComposeHashes[newHash]) revert ReplacementNotAllowed(newHash);
        _removeKnownComposeHash(oldHash);
    }

    function supportsInterface(bytes4 interfaceId) public view virtual override returns (bool) {
        return interfaceId == type(IDstackAppBatch).interfaceId || super.supportsInterface(interfaceId);
    }

    function _addNewComposeHash(bytes32 composeHash) private {
        require(composeHash != 0, "invalid compose hash");
        if (!_addComposeHash(composeHash)) revert EntryUnchanged(composeHash);
    }

    function _removeKnownComposeHash(bytes32 composeHash) private {
        if (!_removeComposeHash(composeHash)) revert EntryUnchanged(composeHash);
    }
}
