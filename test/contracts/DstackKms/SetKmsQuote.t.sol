// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../../../contracts/DstackKms.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {OwnerOnlyBehaviour} from "../support/behaviours/OwnerOnlyBehaviour.sol";

contract DstackKms_SetKmsQuote_Test is OwnerOnlyBehaviour {
    function setUp() public override {
        super.setUp();
        vm.prank(owner);
        kms.setKmsInfo(DstackKms.KmsInfo(Defaults.K256_PUBKEY, Defaults.CA_PUBKEY, Defaults.QUOTE, Defaults.EVENTLOG));
    }

    function _target() internal view override returns (address) {
        return address(kms);
    }

    function _call(bytes32 seed) internal override {
        kms.setKmsQuote(abi.encode(seed));
    }

    /// @dev Emits nothing, as IDstackKms warns.
    function testFuzz_WhenCallerIsOwner_OnlyTheQuoteChanges(bytes calldata value) external {
        _startRecording();

        vm.prank(owner);
        kms.setKmsQuote(value);

        _assertNoLogs();
        (bytes memory k256, bytes memory ca, bytes memory quote, bytes memory eventlog) = kms.kmsInfo();
        vm.assertEq(quote, value, "quote");
        vm.assertEq(k256, Defaults.K256_PUBKEY, "k256Pubkey");
        vm.assertEq(ca, Defaults.CA_PUBKEY, "caPubkey");
        vm.assertEq(eventlog, Defaults.EVENTLOG, "eventlog");
    }

    /// @dev Up to 31 bytes are stored in the slot itself, so only one word may change.
    function test_WhenValueIsShort_OneSlotIsWritten() external {
        _startRecording();

        vm.prank(owner);
        kms.setKmsQuote(Defaults.QUOTE);

        _assertWritesOnly(address(kms), bytes32(Slots.KMS_QUOTE));
    }

    function test_WhenRepeated_Succeeds() external {
        vm.startPrank(owner);
        kms.setKmsQuote(Defaults.CA_PUBKEY);
        kms.setKmsQuote(Defaults.CA_PUBKEY);
        vm.stopPrank();

        (, , bytes memory quote, bytes memory eventlog) = kms.kmsInfo();
        vm.assertEq(quote, Defaults.CA_PUBKEY, "quote");
        vm.assertEq(eventlog, Defaults.EVENTLOG, "eventlog");
    }
}
