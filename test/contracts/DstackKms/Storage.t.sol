// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../../../contracts/DstackKms.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";

/// @dev Reads raw slots: a proxy that other sources deployed must find its state in the same slots.
contract DstackKms_Storage_Test is Base_Test {
    function setUp() public override {
        super.setUp();
        vm.startPrank(owner);
        kms.setKmsInfo(DstackKms.KmsInfo(Defaults.K256_PUBKEY, Defaults.CA_PUBKEY, Defaults.QUOTE, Defaults.EVENTLOG));
        kms.setGatewayAppId(Defaults.GATEWAY_APP_ID);
        kms.transferOwnership(nextOwner);
        vm.stopPrank();
    }

    function test_WhenReadRaw_KmsInfoFillsSlots0To3() external view {
        vm.assertEq(_bytesAt(0), Defaults.K256_PUBKEY, "slot 0");
        vm.assertEq(_bytesAt(1), Defaults.CA_PUBKEY, "slot 1");
        vm.assertEq(_bytesAt(2), Defaults.QUOTE, "slot 2");
        vm.assertEq(_bytesAt(3), Defaults.EVENTLOG, "slot 3");
    }

    function test_WhenReadRaw_GatewayLiesInSlot4() external view {
        vm.assertEq(_bytesAt(4), bytes(Defaults.GATEWAY_APP_ID), "slot 4");
    }

    function test_WhenReadRaw_ListsLieInSlots5To8() external view {
        vm.assertEq(_load(_mappingCell(_widen(address(app)), 5)), bytes32(uint256(1)), "registered app");
        vm.assertEq(_load(_mappingCell(Defaults.MR_AGGREGATED, 6)), bytes32(uint256(1)), "aggregated MR");
        vm.assertEq(_load(_mappingCell(Defaults.KMS_DEVICE_ID, 7)), bytes32(uint256(1)), "device");
        vm.assertEq(_load(_mappingCell(Defaults.OS_IMAGE_HASH, 8)), bytes32(uint256(1)), "OS image");
        for (uint256 slot = 5; slot <= 8; slot++) {
            vm.assertEq(_load(bytes32(slot)), 0, "the slot of a mapping itself");
        }
    }

    function test_WhenReadRaw_ImplementationLiesInSlot9() external view {
        vm.assertEq(_load(bytes32(uint256(9))), _widen(address(appImplementation)), "slot 9");
    }

    function test_WhenReadRaw_ParentsLieInTheirNamespaces() external view {
        vm.assertEq(_load(Slots.OWNER), _widen(owner), "owner");
        vm.assertEq(_load(Slots.PENDING_OWNER), _widen(nextOwner), "pending owner");
        vm.assertEq(_load(Slots.INITIALIZED), bytes32(uint256(1)), "initialized version");
        vm.assertEq(_load(Slots.IMPLEMENTATION), _widen(address(kmsImplementation)), "implementation");
    }

    function test_WhenReadRaw_GapIsZero() external view {
        for (uint256 i = 0; i < Slots.KMS_GAP_LENGTH; i++) {
            vm.assertEq(_load(bytes32(Slots.KMS_GAP + i)), 0, "gap");
        }
    }

    function _load(bytes32 slot) private view returns (bytes32) {
        return vm.load(address(kms), slot);
    }

    /// @dev Decodes `bytes` from raw words: up to 31 bytes and twice the length share the slot; longer content lies
    /// behind the slot's hash, and the slot holds twice the length plus one.
    function _bytesAt(uint256 slot) private view returns (bytes memory content) {
        uint256 head = uint256(_load(bytes32(slot)));
        bool isLong = head % 2 == 1;
        uint256 length = isLong ? head / 2 : (head & 0xff) / 2;
        content = new bytes(length);
        uint256 tail = uint256(keccak256(abi.encode(slot)));
        for (uint256 i = 0; i < length; i++) {
            bytes32 word = isLong ? _load(bytes32(tail + i / 32)) : bytes32(head);
            content[i] = word[i % 32];
        }
    }
}
