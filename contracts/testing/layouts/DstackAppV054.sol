// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OneStepApp} from "./OneStepApp.sol";

/// @title An app in the layout of kms-v0.5.3 and v0.5.4 to v0.5.8
/// @dev Can be upgraded to DstackApp. The TCB flag then takes the first slot of the gap, which is zero: not required.
contract DstackAppV054 is OneStepApp {
    uint256[50] private __gap;

    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        _initializePolicy(initialOwner, disableUpgrades_, allowAnyDevice_, initialDeviceId, initialComposeHash);
    }
}
