// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {DstackApp} from "../DstackApp.sol";
import {IDstackAppEnumerable} from "./IDstackAppEnumerable.sol";

/// @title DstackApp with lists of what it allows
/// @dev A list names only entries that the mapping allows. Once the lists are complete, they name all of them.
abstract contract DstackAppEnumerable is DstackApp, IDstackAppEnumerable {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    /// @custom:storage-location erc7201:dstack-toolkit.storage.DstackAppEnumerable
    struct EnumerableStorage {
        EnumerableSet.Bytes32Set composeHashes;
        EnumerableSet.Bytes32Set deviceIds;
        bool isComplete;
    }

    // keccak256(abi.encode(uint256(keccak256("dstack-toolkit.storage.DstackAppEnumerable")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant ENUMERABLE_STORAGE = 0x456cdee30e060210c3678fe69afa9b325eca2d364debc01cdc31a7a927432300;

    /// @inheritdoc IDstackAppEnumerable
    function importEntries(bytes32[] calldata hashes, bytes32[] calldata devices) external virtual {
        EnumerableStorage storage $ = _enumerableStorage();
        if ($.isComplete) revert ImportAlreadyCompleted();
        for (uint256 i = 0; i < hashes.length; i++) {
            if (!allowedComposeHashes[hashes[i]]) revert EntryNotAllowed(hashes[i]);
            $.composeHashes.add(hashes[i]);
        }
        for (uint256 i = 0; i < devices.length; i++) {
            if (!allowedDeviceIds[devices[i]]) revert EntryNotAllowed(devices[i]);
            $.deviceIds.add(devices[i]);
        }
    }

    /// @inheritdoc IDstackAppEnumerable
    function completeImport() external virtual onlyOwner {
        EnumerableStorage storage $ = _enumerableStorage();
        if ($.isComplete) revert ImportAlreadyCompleted();
        $.isComplete = true;
        emit ImportCompleted($.composeHashes.length(), $.deviceIds.length());
    }

    /// @inheritdoc IDstackAppEnumerable
    function revokeAllExcept(bytes32[] calldata kept) external virtual onlyOwner {
        EnumerableStorage storage $ = _enumerableStorage();
        if (!$.isComplete) revert ListsIncomplete();
        for (uint256 i = 0; i < kept.length; i++) {
            if (!allowedComposeHashes[kept[i]]) revert EntryNotAllowed(kept[i]);
        }
        bytes32[] memory all = $.composeHashes.values();
        bool isChanged = false;
        for (uint256 i = 0; i < all.length; i++) {
            if (_includes(kept, all[i])) continue;
            _removeComposeHash(all[i]);
            isChanged = true;
        }
        if (!isChanged) revert NothingToRevoke();
    }

    /// @inheritdoc IDstackAppEnumerable
    function isComplete() public view virtual returns (bool) {
        return _enumerableStorage().isComplete;
    }

    /// @inheritdoc IDstackAppEnumerable
    function composeHashes() external view virtual returns (bytes32[] memory values, bool complete) {
        return (_enumerableStorage().composeHashes.values(), isComplete());
    }

    /// @inheritdoc IDstackAppEnumerable
    function deviceIds() external view virtual returns (bytes32[] memory values, bool complete) {
        return (_enumerableStorage().deviceIds.values(), isComplete());
    }

    /// @inheritdoc IDstackAppEnumerable
    function composeHashCount() external view virtual returns (uint256 count, bool complete) {
        return (_enumerableStorage().composeHashes.length(), isComplete());
    }

    /// @inheritdoc IDstackAppEnumerable
    function deviceCount() external view virtual returns (uint256 count, bool complete) {
        return (_enumerableStorage().deviceIds.length(), isComplete());
    }

    /// @inheritdoc IDstackAppEnumerable
    function composeHashAt(uint256 index) external view virtual returns (bytes32) {
        return _enumerableStorage().composeHashes.at(index);
    }

    /// @inheritdoc IDstackAppEnumerable
    function deviceIdAt(uint256 index) external view virtual returns (bytes32) {
        return _enumerableStorage().deviceIds.at(index);
    }

    function supportsInterface(bytes4 interfaceId) public view virtual override returns (bool) {
        return interfaceId == type(IDstackAppEnumerable).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev An app that is created with this extension has nothing to import.
    function _initializeApp(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) internal virtual override {
        _enumerableStorage().isComplete = true;
        super._initializeApp(
            initialOwner,
            disableUpgrades_,
            requireTcbUpToDate_,
            allowAnyDevice_,
            initialDeviceId,
            initialComposeHash
        );
    }

    /// @dev Another extension may decide not to allow the hash yet. Then it is not listed either.
    function _addComposeHash(bytes32 composeHash) internal virtual override returns (bool isChange) {
        isChange = super._addComposeHash(composeHash);
        if (allowedComposeHashes[composeHash]) _enumerableStorage().composeHashes.add(composeHash);
    }

    function _removeComposeHash(bytes32 composeHash) internal virtual override returns (bool isChange) {
        isChange = super._removeComposeHash(composeHash);
        _enumerableStorage().composeHashes.remove(composeHash);
    }

    function _addDevice(bytes32 deviceId) internal virtual override returns (bool isChange) {
        isChange = super._addDevice(deviceId);
        if (allowedDeviceIds[deviceId]) _enumerableStorage().deviceIds.add(deviceId);
    }

    function _removeDevice(bytes32 deviceId) internal virtual override returns (bool isChange) {
        isChange = super._removeDevice(deviceId);
        _enumerableStorage().deviceIds.remove(deviceId);
    }

    function _includes(bytes32[] calldata entries, bytes32 entry) private pure returns (bool) {
        for (uint256 i = 0; i < entries.length; i++) {
            if (entries[i] == entry) return true;
        }
        return false;
    }

    function _enumerableStorage() private pure returns (EnumerableStorage storage $) {
        assembly {
            $.slot := ENUMERABLE_STORAGE
        }
    }
}
