// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IDstackKms} from "../../../contracts/interfaces/IDstackKms.sol";
import {Defaults} from "../support/Defaults.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";
import {OwnerOnlyBehaviour} from "../support/behaviours/OwnerOnlyBehaviour.sol";

contract DstackKms_SetKmsInfo_Test is OwnerOnlyBehaviour {
    function _target() internal view override returns (address) {
        return address(kms);
    }

    function _call(bytes32 seed) internal override {
        bytes memory anything = abi.encode(seed);
        kms.setKmsInfo(IDstackKms.KmsInfo(anything, anything, anything, anything));
    }

    function testFuzz_WhenCallerIsOwner(
        bytes calldata k256Pubkey,
        bytes calldata caPubkey,
        bytes calldata quote,
        bytes calldata eventlog
    ) external {
        _startRecording();

        vm.prank(owner);
        kms.setKmsInfo(IDstackKms.KmsInfo(k256Pubkey, caPubkey, quote, eventlog));

        _assertLogs(_expectedLogs(k256Pubkey));
        _assertInfo(k256Pubkey, caPubkey, quote, eventlog);
    }

    function test_WhenRepeated_SucceedsAndEmitsAgain() external {
        vm.startPrank(owner);
        kms.setKmsInfo(_defaultInfo());
        _startRecording();
        kms.setKmsInfo(_defaultInfo());
        vm.stopPrank();

        _assertLogs(_expectedLogs(Defaults.K256_PUBKEY));
        _assertInfo(Defaults.K256_PUBKEY, Defaults.CA_PUBKEY, Defaults.QUOTE, Defaults.EVENTLOG);
    }

    /// @dev Long values first, short ones after: nothing of the old may shine through.
    function testFuzz_WhenReplacedByShorterValues(uint8 length) external {
        bytes memory long = new bytes(uint256(length) + 32);
        vm.startPrank(owner);
        kms.setKmsInfo(IDstackKms.KmsInfo(long, long, long, long));
        kms.setKmsInfo(IDstackKms.KmsInfo("", hex"01", hex"0203", hex"040506"));
        vm.stopPrank();

        _assertInfo("", hex"01", hex"0203", hex"040506");
    }

    function test_WhenCalled_NothingElseMoves() external {
        vm.startPrank(owner);
        kms.setGatewayAppId(Defaults.GATEWAY_APP_ID);
        kms.setKmsInfo(_defaultInfo());
        vm.stopPrank();

        vm.assertEq(kms.gatewayAppId(), Defaults.GATEWAY_APP_ID, "gateway");
        vm.assertEq(kms.appImplementation(), address(appImplementation), "implementation");
        vm.assertEq(kms.owner(), owner, "owner");
        vm.assertTrue(kms.allowedOsImages(Defaults.OS_IMAGE_HASH), "OS image");
        vm.assertTrue(kms.registeredApps(address(app)), "app");
    }

    function _expectedLogs(bytes memory k256Pubkey) private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(address(kms), Topics.KMS_INFO_SET, abi.encode(k256Pubkey)),
                _policyChanged(address(kms), owner, "kms-info", keccak256(k256Pubkey), true)
            );
    }

    function _assertInfo(
        bytes memory k256Pubkey,
        bytes memory caPubkey,
        bytes memory quote,
        bytes memory eventlog
    ) private view {
        (bytes memory k256, bytes memory ca, bytes memory quote_, bytes memory eventlog_) = kms.kmsInfo();
        vm.assertEq(k256, k256Pubkey, "k256Pubkey");
        vm.assertEq(ca, caPubkey, "caPubkey");
        vm.assertEq(quote_, quote, "quote");
        vm.assertEq(eventlog_, eventlog, "eventlog");
    }

    function _defaultInfo() private pure returns (IDstackKms.KmsInfo memory) {
        return IDstackKms.KmsInfo(Defaults.K256_PUBKEY, Defaults.CA_PUBKEY, Defaults.QUOTE, Defaults.EVENTLOG);
    }
}
