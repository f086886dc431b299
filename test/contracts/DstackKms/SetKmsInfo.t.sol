// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../../../contracts/DstackKms.sol";
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
        kms.setKmsInfo(DstackKms.KmsInfo(anything, anything, anything, anything));
    }

    function testFuzz_WhenCallerIsOwner(
        bytes calldata k256Pubkey,
        bytes calldata caPubkey,
        bytes calldata quote,
        bytes calldata eventlog
    ) external {
        _startRecording();

        vm.prank(owner);
        kms.setKmsInfo(DstackKms.KmsInfo(k256Pubkey, caPubkey, quote, eventlog));

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

    /// @dev Long values first, then short ones: no part of the old values may remain.
    function testFuzz_WhenReplacedByShorterValues(uint8 length) external {
        bytes memory long = new bytes(uint256(length) + 32);
        vm.startPrank(owner);
        kms.setKmsInfo(DstackKms.KmsInfo(long, long, long, long));
        kms.setKmsInfo(DstackKms.KmsInfo("", hex"01", hex"0203", hex"040506"));
        vm.stopPrank();

        _assertInfo("", hex"01", hex"0203", hex"040506");
    }

    function test_WhenCalled_NothingElseChanges() external {
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

    /// @dev Offsets count from the start of the struct, as unsigned numbers. A reader that takes them as signed would
    /// store what lies before it: the head of the calldata, or the selector.
    function test_RevertWhen_AMemberPointsOutsideItsStruct() external {
        bytes32[6] memory offsets = [
            bytes32(type(uint256).max - 31), // -32: the offset of the struct, 32, read as a length
            bytes32(type(uint256).max - 3), // -4: into the selector
            bytes32(type(uint256).max), // -1
            bytes32(uint256(1) << 255),
            bytes32(uint256(1) << 64),
            bytes32(uint256(0x2000)) // past the end
        ];
        for (uint256 member = 0; member < 4; member++) {
            for (uint256 i = 0; i < offsets.length; i++) {
                bytes memory call = abi.encodeCall(kms.setKmsInfo, (_defaultInfo()));
                _assertRefusesOffset(call, 32 + 32 * member, offsets[i]);
            }
        }
    }

    function test_RevertWhen_AnArgumentPointsOutsideTheCalldata() external {
        bytes[4] memory calls = [
            abi.encodeCall(kms.setKmsInfo, (_defaultInfo())),
            abi.encodeCall(kms.setKmsQuote, (Defaults.QUOTE)),
            abi.encodeCall(kms.setKmsEventlog, (Defaults.EVENTLOG)),
            abi.encodeCall(kms.setGatewayAppId, (Defaults.GATEWAY_APP_ID))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            _assertRefusesOffset(calls[i], 0, bytes32(type(uint256).max - 3));
            _assertRefusesOffset(calls[i], 0, bytes32(uint256(1) << 255));
            _assertRefusesOffset(calls[i], 0, bytes32(uint256(0x2000)));
        }
    }

    /// @param position Of the word behind the selector that is replaced.
    function _assertRefusesOffset(bytes memory encoded, uint256 position, bytes32 offset) private {
        assembly ("memory-safe") {
            mstore(add(add(encoded, 0x24), position), offset)
        }
        _startRecording();
        vm.prank(owner);
        (bool ok, bytes memory returned) = address(kms).call(encoded);
        vm.assertFalse(ok, "refused");
        vm.assertEq(returned, "", "by the decoder, which says nothing");
        _assertNoLogs();
        _assertWritesNothing(address(kms));
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

    function _defaultInfo() private pure returns (DstackKms.KmsInfo memory) {
        return DstackKms.KmsInfo(Defaults.K256_PUBKEY, Defaults.CA_PUBKEY, Defaults.QUOTE, Defaults.EVENTLOG);
    }
}
