// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {DstackKmsV1} from "../../../contracts/mocks/DstackKmsV1.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {StorageSnapshot} from "../support/StorageSnapshot.sol";

contract DstackKms_UpgradeFromV1_Test is StorageSnapshot {
    DstackKmsV1 private v1;

    function setUp() public override {
        super.setUp();
        v1 = DstackKmsV1(
            address(new ERC1967Proxy(address(new DstackKmsV1()), abi.encodeCall(DstackKmsV1.initialize, (owner))))
        );
        v1.registerApp(address(app));
        vm.startPrank(owner);
        v1.setKmsInfo(DstackKmsV1.KmsInfo(Defaults.K256_PUBKEY, Defaults.CA_PUBKEY, Defaults.QUOTE, Defaults.EVENTLOG));
        v1.setTproxyAppId(Defaults.GATEWAY_APP_ID);
        v1.allow(Defaults.MR_AGGREGATED, Defaults.KMS_DEVICE_ID, Defaults.OS_IMAGE_HASH);
        vm.stopPrank();
    }

    function test_WhenUpgraded_StateSurvivesToTheByte() external {
        bytes32[] memory cells = new bytes32[](10);
        cells[0] = _mappingCell(_widen(address(app)), Slots.KMS_REGISTERED_APPS);
        cells[1] = _mappingCell(Defaults.MR_AGGREGATED, Slots.KMS_ALLOWED_AGGREGATED_MRS);
        cells[2] = _mappingCell(Defaults.KMS_DEVICE_ID, Slots.KMS_ALLOWED_DEVICE_IDS);
        cells[3] = _mappingCell(Defaults.OS_IMAGE_HASH, Slots.KMS_ALLOWED_OS_IMAGES);
        (cells[4], cells[5]) = _tail(Slots.KMS_K256_PUBKEY);
        (cells[6], cells[7]) = _tail(Slots.KMS_CA_PUBKEY);
        (cells[8], cells[9]) = _tail(Slots.KMS_GATEWAY_APP_ID);
        _takeSnapshot(address(v1), cells);
        _startRecording();

        DstackKms upgraded = _upgrade();

        _assertWritesOnly(address(v1), Slots.IMPLEMENTATION);
        _assertSnapshotStands(address(v1));
        (bytes memory k256, bytes memory ca, bytes memory quote, bytes memory eventlog) = upgraded.kmsInfo();
        vm.assertEq(k256, Defaults.K256_PUBKEY, "k256");
        vm.assertEq(ca, Defaults.CA_PUBKEY, "ca");
        vm.assertEq(quote, Defaults.QUOTE, "quote");
        vm.assertEq(eventlog, Defaults.EVENTLOG, "eventlog");
        vm.assertEq(upgraded.gatewayAppId(), Defaults.GATEWAY_APP_ID, "what was called tproxyAppId");
        vm.assertEq(upgraded.owner(), owner, "owner");
    }

    function test_WhenUpgraded_VerdictsStay() external {
        DstackKms upgraded = _upgrade();
        (bool isKmsAllowed, ) = upgraded.isKmsAllowed(_kmsBootInfo());
        (bool isAppAllowed, ) = upgraded.isAppAllowed(_bootInfo());
        vm.assertTrue(isKmsAllowed, "node");
        vm.assertTrue(isAppAllowed, "app");
    }

    /// @dev The implementation's slot was the first of V1's gap.
    function test_WhenUpgraded_FactoryWaitsForAnImplementation() external {
        DstackKms upgraded = _upgrade();
        vm.assertEq(upgraded.appImplementation(), address(0), "implementation");
        vm.expectRevert(_reason("DstackApp implementation not set"));
        upgraded.deployAndRegisterApp(owner, false, true, 0, 0);

        vm.prank(owner);
        upgraded.setAppImplementation(address(appImplementation));
        address created = upgraded.deployAndRegisterApp(owner, false, true, 0, 0);
        vm.assertEq(DstackApp(created).owner(), owner, "owner of the new app");
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

    function test_RevertWhen_UpgradedKmsIsInitializedAgain() external {
        DstackKms upgraded = _upgrade();
        vm.expectRevert(abi.encodeWithSignature("InvalidInitialization()"));
        upgraded.initialize(stranger, address(appImplementation));
    }

    function _upgrade() private returns (DstackKms) {
        vm.prank(owner);
        v1.upgradeToAndCall(address(kmsImplementation), "");
        return DstackKms(address(v1));
    }

    /// @dev The two words in which `bytes` of 33 to 64 bytes keep their content.
    function _tail(uint256 slot) private pure returns (bytes32 first, bytes32 second) {
        uint256 start = uint256(keccak256(abi.encode(slot)));
        return (bytes32(start), bytes32(start + 1));
    }
}
