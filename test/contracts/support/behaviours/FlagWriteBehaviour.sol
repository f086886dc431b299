// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Vm} from "../Vm.sol";
import {OwnerOnlyBehaviour} from "./OwnerOnlyBehaviour.sol";

/// @dev The common behaviour of the two flags of an app.
abstract contract FlagWriteBehaviour is OwnerOnlyBehaviour {
    /// @dev Slot of the flag, and the byte within it counted from the right.
    function _cell() internal pure virtual returns (uint256 slot, uint256 offset);

    function _topic() internal pure virtual returns (bytes32);

    function _policy() internal pure virtual returns (string memory);

    function _set(bool on) internal virtual;

    function _isSet() internal view virtual returns (bool);

    function _target() internal view override returns (address) {
        return address(app);
    }

    function _call(bytes32 seed) internal override {
        _set(uint256(seed) % 2 == 1);
    }

    function testFuzz_WhenCallerIsOwner(bool on, bool before) external {
        vm.prank(owner);
        _set(before);
        _startRecording();

        vm.prank(owner);
        _set(on);

        _assertLogs(_expectedLogs(on));
        _assertWritesOnly(address(app), _slot());
        vm.assertEq(_isSet(), on, "getter");
    }

    function testFuzz_WhenRepeated_SucceedsAndEmitsAgain(bool on) external {
        vm.startPrank(owner);
        _set(on);
        _startRecording();
        _set(on);
        vm.stopPrank();

        _assertLogs(_expectedLogs(on));
        vm.assertEq(_isSet(), on, "getter");
    }

    /// @dev Fills the rest of the slot with random bytes, in place of its other variables of this and later versions.
    function testFuzz_WhenCalled_OtherBytesOfTheSlotStay(bool on, bytes32 noise) external {
        (, uint256 offset) = _cell();
        bytes32 mask = ~bytes32(uint256(0xff) << (8 * offset));
        vm.store(address(app), _slot(), noise & mask);

        vm.prank(owner);
        _set(on);

        bytes32 expected = (noise & mask) | bytes32(uint256(on ? 1 : 0) << (8 * offset));
        vm.assertEq(vm.load(address(app), _slot()), expected, "raw slot");
    }

    function _expectedLogs(bool on) private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(address(app), _topic(), abi.encode(on)),
                _policyChanged(address(app), owner, _policy(), 0, on)
            );
    }

    function _slot() private pure returns (bytes32) {
        (uint256 slot, ) = _cell();
        return bytes32(slot);
    }
}
