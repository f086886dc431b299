// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {TcbStatus} from "../../libraries/TcbStatus.sol";
import {OneStepApp} from "./OneStepApp.sol";

/// @title An app in the layout of v0.5.9 to v0.5.11: with the TCB flag, and without PolicyChanged
/// @dev Can be upgraded to DstackApp, whose slots are the same.
contract DstackAppV059 is OneStepApp {
    event RequireTcbUpToDateSet(bool requireUpToDate);

    bool public requireTcbUpToDate;
    uint256[49] private __gap;

    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        requireTcbUpToDate = requireTcbUpToDate_;
        _initializePolicy(initialOwner, disableUpgrades_, allowAnyDevice_, initialDeviceId, initialComposeHash);
    }

    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        _initializePolicy(initialOwner, disableUpgrades_, allowAnyDevice_, initialDeviceId, initialComposeHash);
    }

    function setRequireTcbUpToDate(bool requireUpToDate) external onlyOwner {
        requireTcbUpToDate = requireUpToDate;
        emit RequireTcbUpToDateSet(requireUpToDate);
    }

    function version() external pure returns (uint256) {
        return 2;
    }

    function isAppAllowed(
        AppBootInfo calldata bootInfo
    ) public view override returns (bool isAllowed, string memory reason) {
        if (requireTcbUpToDate && !TcbStatus.isUpToDate(bootInfo.tcbStatus)) {
            return (false, "TCB status is not up to date");
        }
        return super.isAppAllowed(bootInfo);
    }
}
