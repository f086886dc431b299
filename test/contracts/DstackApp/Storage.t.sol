// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";

/// @dev Reads raw slots: a proxy that other sources deployed must find its state in the same slots.
contract DstackApp_Storage_Test is Base_Test {
    function setUp() public override {
        super.setUp();
        vm.startPrank(owner);
        app.setAllowAnyDevice(true);
        app.setRequireTcbUpToDate(true);
        app.disableUpgrades();
        app.transferOwnership(nextOwner);
        vm.stopPrank();
    }

    function test_WhenReadRaw_ListsLieInSlots0And2() external view {
        vm.assertEq(_load(_mappingCell(Defaults.COMPOSE_HASH, 0)), bytes32(uint256(1)), "compose hash");
        vm.assertEq(_load(_mappingCell(Defaults.DEVICE_ID, 2)), bytes32(uint256(1)), "device");
        vm.assertEq(_load(_mappingCell(Defaults.DEVICE_ID, 0)), 0, "a device is no compose hash");
        vm.assertEq(_load(_mappingCell(Defaults.COMPOSE_HASH, 2)), 0, "a compose hash is no device");
        vm.assertEq(_load(bytes32(uint256(0))), 0, "slot 0 itself");
        vm.assertEq(_load(bytes32(uint256(2))), 0, "slot 2 itself");
    }

    function test_WhenReadRaw_FlagsArePackedInSlot1() external {
        vm.assertEq(_load(bytes32(uint256(1))), bytes32(uint256(0x0101)), "disabled in byte 0, any device in byte 1");

        vm.prank(owner);
        app.setAllowAnyDevice(false);
        vm.assertEq(_load(bytes32(uint256(1))), bytes32(uint256(0x0001)), "disabled alone");
    }

    function test_WhenReadRaw_TcbFlagLiesInSlot3() external {
        vm.assertEq(_load(bytes32(uint256(3))), bytes32(uint256(1)), "required");

        vm.prank(owner);
        app.setRequireTcbUpToDate(false);
        vm.assertEq(_load(bytes32(uint256(3))), 0, "not required");
    }

    function test_WhenReadRaw_ParentsLieInTheirNamespaces() external view {
        vm.assertEq(_load(Slots.OWNER), _widen(owner), "owner");
        vm.assertEq(_load(Slots.PENDING_OWNER), _widen(nextOwner), "pending owner");
        vm.assertEq(_load(Slots.INITIALIZED), bytes32(uint256(1)), "initialized version");
        vm.assertEq(_load(Slots.IMPLEMENTATION), _widen(address(appImplementation)), "implementation");
    }

    function test_WhenReadRaw_GapIsZero() external view {
        for (uint256 i = 0; i < Slots.APP_GAP_LENGTH; i++) {
            vm.assertEq(_load(bytes32(Slots.APP_GAP + i)), 0, "gap");
        }
    }

    function test_WhenDerived_NamespacesAreErc7201() external pure {
        vm.assertEq(_namespace("openzeppelin.storage.Ownable"), Slots.OWNER, "Ownable");
        vm.assertEq(_namespace("openzeppelin.storage.Ownable2Step"), Slots.PENDING_OWNER, "Ownable2Step");
        vm.assertEq(_namespace("openzeppelin.storage.Initializable"), Slots.INITIALIZED, "Initializable");
        vm.assertEq(
            bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1),
            Slots.IMPLEMENTATION,
            "ERC-1967 implementation"
        );
    }

    function _load(bytes32 slot) private view returns (bytes32) {
        return vm.load(address(app), slot);
    }

    function _namespace(string memory id) private pure returns (bytes32) {
        return keccak256(abi.encode(uint256(keccak256(bytes(id))) - 1)) & ~bytes32(uint256(0xff));
    }
}
