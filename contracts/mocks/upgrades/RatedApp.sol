// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";

/// @dev A user's own app that uses each hook: an initializer of its own, a limit of the list, another rule.
contract RatedApp is DstackApp {
    uint256 public limit;
    uint256 public count;

    error LimitReached();

    function initialize(address initialOwner, uint256 newLimit) external initializer {
        limit = newLimit;
        _initializeApp(initialOwner, false, true, true, 0, 0);
    }

    function _addComposeHash(bytes32 composeHash) internal override returns (bool isChange) {
        isChange = super._addComposeHash(composeHash);
        if (isChange && ++count > limit) revert LimitReached();
    }

    function _removeComposeHash(bytes32 composeHash) internal override returns (bool isChange) {
        isChange = super._removeComposeHash(composeHash);
        if (isChange) count--;
    }

    function _findRefusal(AppBootInfo calldata bootInfo) internal view override returns (string memory reason) {
        if (bootInfo.instanceId == address(0)) return "Instance not named";
        return super._findRefusal(bootInfo);
    }
}
