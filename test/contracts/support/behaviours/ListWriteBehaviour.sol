// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots} from "../Slots.sol";
import {Vm} from "../Vm.sol";
import {OwnerOnlyBehaviour} from "./OwnerOnlyBehaviour.sol";

/// @dev The common behaviour of the functions that add one value to a list of the owner or remove it.
abstract contract ListWriteBehaviour is OwnerOnlyBehaviour {
    /// @dev Slot of the mapping.
    function _list() internal pure virtual returns (uint256);

    /// @dev First topic of the event.
    function _topic() internal pure virtual returns (bytes32);

    /// @dev Label under which PolicyChanged reports it.
    function _policy() internal pure virtual returns (string memory);

    /// @dev Whether the function adds.
    function _adds() internal pure virtual returns (bool);

    /// @dev The reason for refusing zero; empty if the function accepts zero like every other value.
    function _zeroRefusal() internal pure virtual returns (string memory) {
        return "";
    }

    /// @dev The answer of the public getter.
    function _has(bytes32 value) internal view virtual returns (bool);

    function testFuzz_WhenCallerIsOwner(bytes32 value, bool listedBefore, uint256 switches) external {
        _assumeTaken(value);
        _givenSwitches(switches);
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
        _assumeTaken(value);
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
        _assumeTaken(value);
        _givenListed(other, otherListed);

        vm.prank(owner);
        _call(value);

        vm.assertEq(_has(other), otherListed, "another value");
    }

    /// @dev Older code accepted zero in each list, so it may be listed already.
    function testFuzz_WhenValueIsZero(bool listedBefore, uint256 switches) external {
        bytes memory refusal = bytes(_zeroRefusal());
        _givenSwitches(switches);
        _givenListed(0, listedBefore);
        _startRecording();

        if (refusal.length > 0) vm.expectRevert(_reason(string(refusal)));
        vm.prank(owner);
        _call(0);

        if (refusal.length > 0) {
            _assertNoLogs();
            _assertWritesNothing(_target());
            vm.assertEq(_has(0), listedBefore, "as before");
        } else {
            _assertLogs(_expectedLogs(0));
            _assertWritesOnly(_target(), _cell(0));
            vm.assertEq(_has(0), _adds(), "getter");
        }
    }

    function _expectedLogs(bytes32 value) private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(_target(), _topic(), abi.encode(value)),
                _policyChanged(_target(), owner, _policy(), value, _adds())
            );
    }

    function _assumeTaken(bytes32 value) private pure {
        vm.assume(value != 0 || bytes(_zeroRefusal()).length == 0);
    }

    function _givenListed(bytes32 value, bool listed) private {
        vm.store(_target(), _cell(value), _word(listed));
        vm.assertEq(_has(value), listed, "the list lives in the slot the test believes");
    }

    /// @dev The switches of an app have no effect on its lists: disabled upgrades, any device, an up-to-date TCB.
    function _givenSwitches(uint256 random) private {
        if (_target() != address(app)) return;
        vm.store(_target(), bytes32(Slots.APP_FLAGS), bytes32(random & 0x0101));
        vm.store(_target(), bytes32(Slots.APP_REQUIRE_TCB_UP_TO_DATE), _word(random >> 255 == 1));
    }

    function _cell(bytes32 value) private pure returns (bytes32) {
        return _mappingCell(value, _list());
    }

    function _word(bool flag) private pure returns (bytes32) {
        return bytes32(uint256(flag ? 1 : 0));
    }
}
