// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Base_Test} from "./Base.sol";
import {Slots} from "./Slots.sol";

/// @dev Remembers the raw words of one proxy and compares them after an upgrade.
abstract contract StorageSnapshot is Base_Test {
    /// @dev The end of the plain variables of both contracts and of their gaps.
    uint256 private constant PLAIN_SLOTS = 60;

    bytes32[] private slots;
    mapping(bytes32 slot => bytes32) private words;

    /// @param dynamicCells Slots outside the plain range: mapping cells and the tails of long bytes.
    function _takeSnapshot(address proxy, bytes32[] memory dynamicCells) internal {
        for (uint256 i = 0; i < PLAIN_SLOTS; i++) slots.push(bytes32(i));
        slots.push(Slots.OWNER);
        slots.push(Slots.PENDING_OWNER);
        slots.push(Slots.INITIALIZED);
        for (uint256 i = 0; i < dynamicCells.length; i++) {
            vm.assertNotEq(vm.load(proxy, dynamicCells[i]), 0, "a cell worth comparing");
            slots.push(dynamicCells[i]);
        }
        for (uint256 i = 0; i < slots.length; i++) words[slots[i]] = vm.load(proxy, slots[i]);
    }

    function _assertSnapshotStands(address proxy) internal view {
        for (uint256 i = 0; i < slots.length; i++) {
            vm.assertEq(vm.load(proxy, slots[i]), words[slots[i]], "word of the older version");
        }
    }
}
