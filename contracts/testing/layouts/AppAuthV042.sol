// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OneStepApp} from "./OneStepApp.sol";

/// @dev Takes slot 0, which shifts every variable of the contracts that inherit it first.
abstract contract AppIdSlot {
    address public appId;
}

/// @title An app in the layout of v0.4.2 and v0.5.0 to v0.5.3, where it was called AppAuth
/// @dev Upgraded to DstackApp it loses its whole policy without a revert: both lists and both flags lie one slot later
/// than DstackApp looks. Of all layouts only this one has `appId()`. The app id is a number of the KMS and not the
/// address of this contract, which the KMS calls the controller of the app. The first releases of this row lack the
/// initial device and hash and ERC-165.
contract AppAuthV042 is AppIdSlot, OneStepApp {
    uint256[50] private __gap;

    function initialize(
        address initialOwner,
        address appId_,
        bool disableUpgrades_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        require(appId_ != address(0), "invalid app ID");
        appId = appId_;
        _initializePolicy(initialOwner, disableUpgrades_, allowAnyDevice_, initialDeviceId, initialComposeHash);
    }

    function isAppAllowed(
        AppBootInfo calldata bootInfo
    ) public view override returns (bool isAllowed, string memory reason) {
        if (bootInfo.appId != appId) return (false, "Wrong app controller");
        return super.isAppAllowed(bootInfo);
    }
}
