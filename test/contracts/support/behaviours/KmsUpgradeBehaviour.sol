// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../../contracts/DstackApp.sol";
import {DstackKms} from "../../../../contracts/DstackKms.sol";
import {OneStepKmsLists} from "../../../../contracts/testing/layouts/OneStepKms.sol";
import {Defaults} from "../Defaults.sol";
import {Slots} from "../Slots.sol";
import {StorageSnapshot} from "../StorageSnapshot.sol";

/// @dev What an upgrade to DstackKms keeps of every older KMS: its identity, its three lists and its owner.
abstract contract KmsUpgradeBehaviour is StorageSnapshot {
    OneStepKmsLists internal old;

    /// @dev A proxy of `owner`, deployed as that release deployed it.
    function _deployOld() internal virtual returns (address);

    /// @dev Cells outside the plain slots that only this release has.
    function _ownCells() internal view virtual returns (bytes32[] memory);

    function setUp() public virtual override {
        super.setUp();
        old = OneStepKmsLists(_deployOld());
        vm.startPrank(owner);
        old.setKmsInfo(DstackKms.KmsInfo(Defaults.K256_PUBKEY, Defaults.CA_PUBKEY, Defaults.QUOTE, Defaults.EVENTLOG));
        old.setGatewayAppId(Defaults.GATEWAY_APP_ID);
        old.addKmsAggregatedMr(Defaults.MR_AGGREGATED);
        old.addKmsDevice(Defaults.KMS_DEVICE_ID);
        old.addOsImageHash(Defaults.OS_IMAGE_HASH);
        vm.stopPrank();
    }

    function test_WhenUpgraded_EveryWordStays() external {
        bytes32[] memory own = _ownCells();
        bytes32[] memory cells = new bytes32[](9 + own.length);
        cells[0] = _mappingCell(Defaults.MR_AGGREGATED, Slots.KMS_ALLOWED_AGGREGATED_MRS);
        cells[1] = _mappingCell(Defaults.KMS_DEVICE_ID, Slots.KMS_ALLOWED_DEVICE_IDS);
        cells[2] = _mappingCell(Defaults.OS_IMAGE_HASH, Slots.KMS_ALLOWED_OS_IMAGES);
        (cells[3], cells[4]) = _tail(Slots.KMS_K256_PUBKEY);
        (cells[5], cells[6]) = _tail(Slots.KMS_CA_PUBKEY);
        (cells[7], cells[8]) = _tail(Slots.KMS_GATEWAY_APP_ID);
        for (uint256 i = 0; i < own.length; i++) cells[9 + i] = own[i];
        _takeSnapshot(address(old), cells);
        _startRecording();

        DstackKms upgraded = _upgrade();

        _assertWritesOnly(address(old), Slots.IMPLEMENTATION);
        _assertSnapshotStands(address(old));
        (bytes memory k256, bytes memory ca, bytes memory quote, bytes memory eventlog) = upgraded.kmsInfo();
        vm.assertEq(k256, Defaults.K256_PUBKEY, "k256");
        vm.assertEq(ca, Defaults.CA_PUBKEY, "ca");
        vm.assertEq(quote, Defaults.QUOTE, "quote");
        vm.assertEq(eventlog, Defaults.EVENTLOG, "eventlog");
        vm.assertEq(upgraded.gatewayAppId(), Defaults.GATEWAY_APP_ID, "gateway");
        vm.assertEq(upgraded.owner(), owner, "owner");
    }

    function test_WhenUpgraded_NodesStillJoin() external {
        (bool isAllowed, ) = old.isKmsAllowed(_kmsBootInfo());
        vm.assertTrue(isAllowed, "before");

        DstackKms upgraded = _upgrade();

        (isAllowed, ) = upgraded.isKmsAllowed(_kmsBootInfo());
        vm.assertTrue(isAllowed, "after");
    }

    function test_WhenUpgraded_OwnershipMovesInTwoSteps() external {
        DstackKms upgraded = _upgrade();
        vm.assertEq(upgraded.pendingOwner(), address(0), "pending owner");

        vm.prank(owner);
        upgraded.transferOwnership(nextOwner);
        vm.assertEq(upgraded.owner(), owner, "first step");

        vm.prank(nextOwner);
        upgraded.acceptOwnership();
        vm.assertEq(upgraded.owner(), nextOwner, "second step");
    }

    function test_WhenUpgraded_FactoryWorksWithANewImplementation() external {
        DstackKms upgraded = _upgrade();
        vm.prank(owner);
        upgraded.setAppImplementation(address(appImplementation));

        address created = upgraded.deployAndRegisterApp(owner, false, true, 0, 0);

        vm.assertEq(DstackApp(created).owner(), owner, "owner of the new app");
        vm.assertEq(DstackApp(created).version(), Defaults.APP_VERSION, "code of the new app");
    }

    function test_RevertWhen_UpgradedKmsIsInitializedAgain() external {
        DstackKms upgraded = _upgrade();
        vm.expectRevert(abi.encodeWithSignature("InvalidInitialization()"));
        upgraded.initialize(stranger, address(appImplementation));
    }

    function _upgrade() internal returns (DstackKms) {
        vm.prank(owner);
        old.upgradeToAndCall(address(kmsImplementation), "");
        return DstackKms(address(old));
    }

    /// @dev The two words in which `bytes` of 33 to 64 bytes keep their content.
    function _tail(uint256 slot) private pure returns (bytes32 first, bytes32 second) {
        uint256 start = uint256(keccak256(abi.encode(slot)));
        return (bytes32(start), bytes32(start + 1));
    }
}
