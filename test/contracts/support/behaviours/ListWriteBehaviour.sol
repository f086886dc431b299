// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Vm} from "../Vm.sol";
import {OwnerOnlyBehaviour} from "./OwnerOnlyBehaviour.sol";

/// @dev What every function has in common that puts one value on a list of the owner or takes it off.
abstract contract ListWriteBehaviour is OwnerOnlyBehaviour {
    /// @dev Slot of the mapping.
    function _list() internal pure virtual returns (uint256);

    /// @dev First topic of the event.
    function _topic() internal pure virtual returns (bytes32);

    /// @dev Label under which PolicyChanged reports it.
    function _policy() internal pure virtual returns (string memory);

    /// @dev Whether the function adds.
    function _adds() internal pure virtual returns (bool);

    /// @dev What the public getter says.
    function _has(bytes32 value) internal view virtual returns (bool);

    function testFuzz_WhenCallerIsOwner(bytes32 value, bool listedBefore) external {
        _givenListed(value, listedBefore);
        _startRecording();

        vm.prank(owner);
        _call(value);

        _assertLogs(_expectedLogs(value));
        _assertWritesOnly(_target(), _cell(value));
        vm.assertEq(_has(value), _adds(), "getter");
        vm.assertEq(vm.load(_target(), _cell(value)), _word(_adds()), "raw cell");
    }

    function testFuzz_WhenRepeated_SucceedsAndEmitsAgain(bytes32 value) external {
        vm.prank(owner);
        _call(value);
        _startRecording();

        vm.prank(owner);
        _call(value);

        _assertLogs(_expectedLogs(value));
        _assertWritesOnly(_target(), _cell(value));
        vm.assertEq(_has(value), _adds(), "getter");
    }

    function testFuzz_WhenCalled_OtherValuesStay(bytes32 value, bytes32 other, bool otherListed) external {
        vm.assume(other != value);
        _givenListed(other, otherListed);

        vm.prank(owner);
        _call(value);

        vm.assertEq(_has(other), otherListed, "another value");
    }

    function _expectedLogs(bytes32 value) private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(_target(), _topic(), abi.encode(value)),
                _policyChanged(_target(), owner, _policy(), value, _adds())
            );
    }

    function _givenListed(bytes32 value, bool listed) private {
        vm.store(_target(), _cell(value), _word(listed));
        vm.assertEq(_has(value), listed, "the list lives in the slot the test believes");
    }

    function _cell(bytes32 value) private pure returns (bytes32) {
        return _mappingCell(value, _list());
    }

    function _word(bool flag) private pure returns (bytes32) {
        return bytes32(uint256(flag ? 1 : 0));
    }
}
