// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {BATCH, BATCH_OF_BATCHES, BATCH_WITH_OP_DATA} from "../BatchExecutor/BatchExecutorBase.sol";
import {TestBase} from "../support/TestBase.sol";

/// @dev Sends batches at two delegated accounts, each owner of an app, as themselves, each other and strangers, and
/// takes the delegation away and gives it back. `expected` follows the rule: only the account's own batches happen.
contract BatchExecutorHandler is TestBase {
    uint256 public constant VALUES = 4;

    address[2] public accounts;
    DstackApp[2] public apps;
    address[] private _callers;
    bytes private _code;

    mapping(address app => mapping(bytes32 value => bool)) public expected;
    string public violation;

    constructor(address[2] memory accounts_, DstackApp[2] memory apps_, bytes memory code) {
        accounts = accounts_;
        apps = apps_;
        _code = code;
        _callers = [accounts_[0], accounts_[1], _actor("third"), _actor("fourth")];
    }

    function value(uint256 seed) public pure returns (bytes32) {
        return keccak256(abi.encode("value", seed % VALUES));
    }

    /// @param shape Low bits: how many calls, the mode, and which call must fail, if any; the rest decides what each call
    /// does.
    function batch(uint256 caller, uint256 account, uint256 shape) external {
        address sender = _callers[caller % _callers.length];
        uint256 victim = account % 2;
        uint256 count = 1 + (shape % 5);
        uint256 failAt = (shape >> 8) % (3 * count);
        bool isDelegated = accounts[victim].code.length > 0;
        bytes memory call = _encode(_calls(victim, count, failAt, shape), shape >> 4);
        vm.prank(sender);
        (bool ok, bytes memory returned) = accounts[victim].call(call);
        // A call to an account without code succeeds and does nothing.
        bool mustSucceed = !isDelegated || (sender == accounts[victim] && failAt >= count);
        if (ok != mustSucceed) violation = "a batch ended otherwise than the rules say";
        if (!ok && sender == accounts[victim] && keccak256(returned) != keccak256(_failure(victim, failAt))) {
            violation = "the failing call was not told";
        }
        if (!isDelegated || !mustSucceed) return;
        _expect(apps[victim], count, shape);
    }

    /// @dev Without code, and for others, any call is accepted. For the account itself it is a batch that would be lost.
    function callUnknown(uint256 caller, uint256 account, bool isForEarlierExecutor) external {
        address sender = _callers[caller % _callers.length];
        address victim = accounts[account % 2];
        bool mustFail = sender == victim && victim.code.length > 0;
        vm.prank(sender);
        (bool ok, ) = victim.call(isForEarlierExecutor ? abi.encodePacked(hex"baae8abf", bytes32(0)) : bytes(hex"01"));
        if (ok == mustFail) violation = "an unknown call ended otherwise than the rules say";
    }

    function delegate(uint256 account, bool isOn) external {
        vm.etch(accounts[account % 2], isOn ? _code : bytes(""));
    }

    /// @dev The key works with and without the delegation.
    function writePlainly(uint256 account, uint256 valueSeed, bool adds) external {
        vm.prank(accounts[account % 2]);
        (bool ok, ) = address(apps[account % 2]).call(_write(value(valueSeed), adds));
        if (!ok) violation = "the account's own call was refused";
        expected[address(apps[account % 2])][value(valueSeed)] = adds;
    }

    function _expect(DstackApp app, uint256 count, uint256 shape) private {
        for (uint256 i = 0; i < count; i++) {
            expected[address(app)][value(((shape >> 16) % VALUES) + i)] = _adds(shape, i);
        }
    }

    function _calls(
        uint256 victim,
        uint256 count,
        uint256 failAt,
        uint256 shape
    ) private view returns (IBatchExecutor.Call[] memory calls) {
        calls = new IBatchExecutor.Call[](count);
        for (uint256 i = 0; i < count; i++) {
            // The other account's app refuses its call.
            address target = address(apps[i == failAt ? 1 - victim : victim]);
            bytes memory data = _write(value(((shape >> 16) % VALUES) + i), _adds(shape, i));
            calls[i] = IBatchExecutor.Call({to: target, value: 0, data: data});
        }
    }

    /// @dev One batch, the same with empty `opData`, or two batches.
    function _encode(IBatchExecutor.Call[] memory calls, uint256 shape) private pure returns (bytes memory) {
        uint256 kind = shape % 3;
        bytes memory data = kind == 1 ? abi.encode(calls, bytes("")) : abi.encode(calls);
        if (kind == 2) {
            uint256 cut = (shape >> 2) % (calls.length + 1);
            bytes[] memory batches = new bytes[](2);
            (batches[0], batches[1]) = (
                abi.encode(_slice(calls, 0, cut)),
                abi.encode(_slice(calls, cut, calls.length))
            );
            data = abi.encode(batches);
        }
        bytes32 mode = [BATCH, BATCH_WITH_OP_DATA, BATCH_OF_BATCHES][kind];
        return abi.encodeCall(IBatchExecutor.execute, (mode, data));
    }

    function _slice(
        IBatchExecutor.Call[] memory calls,
        uint256 start,
        uint256 end
    ) private pure returns (IBatchExecutor.Call[] memory part) {
        part = new IBatchExecutor.Call[](end - start);
        for (uint256 i = start; i < end; i++) part[i - start] = calls[i];
    }

    function _failure(uint256 victim, uint256 failAt) private view returns (bytes memory) {
        bytes4 unauthorized = OwnableUpgradeable.OwnableUnauthorizedAccount.selector;
        bytes memory reason = abi.encodeWithSelector(unauthorized, accounts[victim]);
        return abi.encodeWithSelector(IBatchExecutor.CallFailed.selector, failAt, reason);
    }

    function _adds(uint256 shape, uint256 index) private pure returns (bool) {
        return (shape >> (32 + index)) % 2 == 0;
    }

    function _write(bytes32 composeHash, bool adds) private pure returns (bytes memory) {
        return
            adds
                ? abi.encodeCall(DstackApp.addComposeHash, (composeHash))
                : abi.encodeCall(DstackApp.removeComposeHash, (composeHash));
    }
}
