// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IPolicyAudit} from "./interfaces/IPolicyAudit.sol";

/// @dev Stateless on purpose: it stands among the parents of contracts whose slots are fixed.
abstract contract PolicyAudit is IPolicyAudit {
    /// @dev A function of its own keeps the event's code in the contract once instead of once per caller.
    function _recordPolicy(bytes32 policy, bytes32 value, bool enabled) internal {
        emit PolicyChanged(msg.sender, policy, value, enabled);
    }

    function _recordPolicy(bytes32 policy, address value, bool enabled) internal {
        _recordPolicy(policy, bytes32(uint256(uint160(value))), enabled);
    }
}
