// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {TestBase} from "./TestBase.sol";
import {Topics} from "./Topics.sol";
import {Vm} from "./Vm.sol";

/// @dev Records the events and the written slots of a call, and expects exactly these.
abstract contract Recorder is TestBase {
    function _startRecording() internal {
        vm.record();
        vm.recordLogs();
    }

    function _assertWritesNothing(address account) internal {
        (, bytes32[] memory writes) = vm.accesses(account);
        vm.assertEq(writes.length, 0, "no slot is written");
    }

    function _assertWritesOnly(address account, bytes32 slot) internal {
        bytes32[] memory slots = new bytes32[](1);
        slots[0] = slot;
        _assertWritesOnly(account, slots);
    }

    /// @dev A slot may be written several times.
    function _assertWritesOnly(address account, bytes32[] memory slots) internal {
        (, bytes32[] memory writes) = vm.accesses(account);
        for (uint256 i = 0; i < writes.length; i++) {
            vm.assertTrue(_contains(slots, writes[i]), "no other slot is written");
        }
        for (uint256 i = 0; i < slots.length; i++) {
            vm.assertTrue(_contains(writes, slots[i]), "the named slot is written");
        }
    }

    function _assertNoLogs() internal {
        vm.assertEq(vm.getRecordedLogs().length, 0, "nothing is emitted");
    }

    /// @dev Emitter, every topic and the data of every log since the recording began, in order.
    function _assertLogs(Vm.Log[] memory expected) internal {
        Vm.Log[] memory actual = vm.getRecordedLogs();
        for (uint256 i = 0; i < actual.length && i < expected.length; i++) {
            vm.assertEq(actual[i].emitter, expected[i].emitter, "emitter");
            vm.assertEq(actual[i].topics.length, expected[i].topics.length, "number of topics");
            for (uint256 j = 0; j < expected[i].topics.length; j++) {
                vm.assertEq(actual[i].topics[j], expected[i].topics[j], "topic");
            }
            vm.assertEq(actual[i].data, expected[i].data, "data");
        }
        vm.assertEq(actual.length, expected.length, "number of events");
    }

    function _event(address emitter, bytes32 topic, bytes memory data) internal pure returns (Vm.Log memory) {
        bytes32[] memory topics = new bytes32[](1);
        topics[0] = topic;
        return Vm.Log({topics: topics, data: data, emitter: emitter});
    }

    function _event(address emitter, bytes32 topic, address first) internal pure returns (Vm.Log memory) {
        bytes32[] memory topics = new bytes32[](2);
        topics[0] = topic;
        topics[1] = _widen(first);
        return Vm.Log({topics: topics, data: "", emitter: emitter});
    }

    function _event(
        address emitter,
        bytes32 topic,
        address first,
        address second
    ) internal pure returns (Vm.Log memory) {
        bytes32[] memory topics = new bytes32[](3);
        topics[0] = topic;
        topics[1] = _widen(first);
        topics[2] = _widen(second);
        return Vm.Log({topics: topics, data: "", emitter: emitter});
    }

    function _policyChanged(
        address emitter,
        address actor,
        string memory policy,
        bytes32 value,
        bool enabled
    ) internal pure returns (Vm.Log memory) {
        bytes32[] memory topics = new bytes32[](4);
        topics[0] = Topics.POLICY_CHANGED;
        topics[1] = _widen(actor);
        topics[2] = keccak256(bytes(policy));
        topics[3] = value;
        return Vm.Log({topics: topics, data: abi.encode(enabled), emitter: emitter});
    }

    function _logs(Vm.Log memory first) internal pure returns (Vm.Log[] memory logs) {
        logs = new Vm.Log[](1);
        logs[0] = first;
    }

    function _logs(Vm.Log memory first, Vm.Log memory second) internal pure returns (Vm.Log[] memory logs) {
        logs = new Vm.Log[](2);
        logs[0] = first;
        logs[1] = second;
    }

    function _contains(bytes32[] memory list, bytes32 wanted) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; i++) {
            if (list[i] == wanted) return true;
        }
        return false;
    }
}
