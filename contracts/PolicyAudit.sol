// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IPolicyAudit} from "./interfaces/IPolicyAudit.sol";

/// @dev Must not have state: it is a parent of contracts whose storage slots are fixed.
abstract contract PolicyAudit is IPolicyAudit {
    /// @dev As a separate function, the event's code is in the contract once instead of once per caller.
    function _recordPolicy(bytes32 policy, bytes32 value, bool enabled) internal {
        emit PolicyChanged(msg.sender, policy, value, enabled);
    }

    function _recordPolicy(bytes32 policy, address value, bool enabled) internal {
        _recordPolicy(policy, bytes32(uint256(uint160(value))), enabled);
    }
}
