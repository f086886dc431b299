// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Vm} from "./Vm.sol";

abstract contract TestBase {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev Folds a fuzzed number into [low, high]. The runner's own `bound` throws instead of folding.
    function _bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return value >= low && value <= high ? value : low + (value % (high - low + 1));
    }

    function _actor(string memory name) internal returns (address actor) {
        actor = address(uint160(uint256(keccak256(bytes(name)))));
        vm.label(actor, name);
    }

    /// @dev Calls from the test itself, and demands a revert with exactly this data (empty data included).
    function _assertReverts(
        address target,
        bytes memory call,
        bytes memory revertData,
        string memory message
    ) internal {
        (bool ok, bytes memory returned) = target.call(call);
        vm.assertFalse(ok, message);
        vm.assertEq(returned, revertData, message);
    }

    /// @dev The revert data of `require(false, reason)`.
    function _reason(string memory reason) internal pure returns (bytes memory) {
        return abi.encodeWithSignature("Error(string)", reason);
    }

    function _mappingCell(bytes32 key, uint256 slot) internal pure returns (bytes32) {
        return keccak256(abi.encode(key, slot));
    }

    function _widen(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}
