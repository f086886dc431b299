// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../DstackApp.sol";
import {DstackAppBase} from "../DstackAppBase.sol";
import {DstackAppBatch} from "../extensions/DstackAppBatch.sol";
import {DstackAppEnumerable} from "../extensions/DstackAppEnumerable.sol";
import {DstackAppNoticePeriod} from "../extensions/DstackAppNoticePeriod.sol";

/// @title DstackApp with all extensions
/// @dev The hooks run from right to left, so a list changes after the notice period has decided.
contract ExtendedDstackApp is DstackAppBatch, DstackAppNoticePeriod, DstackAppEnumerable {
    function supportsInterface(
        bytes4 interfaceId
    ) public view override(DstackAppBatch, DstackAppNoticePeriod, DstackAppEnumerable) returns (bool) {
        return super.supportsInterface(interfaceId);
    }

    function _initializeApp(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) internal override(DstackAppBase, DstackAppEnumerable) {
        super._initializeApp(
            initialOwner,
            disableUpgrades_,
            requireTcbUpToDate_,
            allowAnyDevice_,
            initialDeviceId,
            initialComposeHash
        );
    }

    function _addComposeHash(
        bytes32 composeHash
    ) internal override(DstackAppBase, DstackAppNoticePeriod, DstackAppEnumerable) returns (bool) {
        return super._addComposeHash(composeHash);
    }

    function _removeComposeHash(
        bytes32 composeHash
    ) internal override(DstackAppBase, DstackAppNoticePeriod, DstackAppEnumerable) returns (bool) {
        return super._removeComposeHash(composeHash);
    }

    function _addDevice(bytes32 deviceId) internal override(DstackAppBase, DstackAppEnumerable) returns (bool) {
        return super._addDevice(deviceId);
    }

    function _removeDevice(bytes32 deviceId) internal override(DstackAppBase, DstackAppEnumerable) returns (bool) {
        return super._removeDevice(deviceId);
    }

    function _beforeUpgrade(address newImplementation) internal override(DstackAppBase, DstackAppNoticePeriod) {
        super._beforeUpgrade(newImplementation);
    }
}
