// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {BATCH, BATCH_OF_BATCHES, BATCH_WITH_OP_DATA, BatchExecutor_Test} from "./BatchExecutorBase.sol";
import {Mirror} from "./Mirror.sol";

/// @dev The executor reads the encoding of the calls itself. The compiler's decoder is the model: what it refuses must be
/// refused, and what it reads must be what is executed.
contract BatchExecutor_Encoding_Test is BatchExecutor_Test {
    Mirror private _mirror;

    function setUp() public override {
        super.setUp();
        _mirror = new Mirror();
        vm.deal(owner, 1 ether);
    }

    function testFuzz_WhenDataIsRandom_AgreesWithTheDecoder(bytes calldata data) external {
        _assertAgrees(BATCH, data);
        _assertAgrees(BATCH_WITH_OP_DATA, data);
        _assertAgrees(BATCH_OF_BATCHES, data);
    }

    function testFuzz_WhenOneWordIsWrong_AgreesWithTheDecoder(uint256 seed, uint256 word, uint256 position) external {
        _assertAgrees(BATCH, _damage(abi.encode(_calls(seed)), word, position));
        _assertAgrees(BATCH_WITH_OP_DATA, _damage(abi.encode(_calls(seed), bytes("")), word, position));
        bytes[] memory batches = new bytes[](2);
        (batches[0], batches[1]) = (abi.encode(_calls(seed)), abi.encode(_calls(seed >> 128)));
        _assertAgrees(BATCH_OF_BATCHES, _damage(abi.encode(batches), word, position));
        batches[seed % 2] = _damage(batches[seed % 2], word, position);
        _assertAgrees(BATCH_OF_BATCHES, abi.encode(batches));
    }

    function testFuzz_WhenTheEndIsMissing_AgreesWithTheDecoder(uint256 seed, uint256 length) external {
        bytes memory data = abi.encode(_calls(seed));
        length = _bound(length, 0, data.length - 1);
        assembly ("memory-safe") {
            mstore(data, length)
        }
        _assertAgrees(BATCH, data);
        _assertAgrees(BATCH_WITH_OP_DATA, data);
    }

    /// @dev Words of zero are the offsets of a call of the account to itself, which succeeds.
    function testFuzz_WhenTheArrayIsLongerThanTheData_AgreesWithTheDecoder(uint256 count, uint256 words) external {
        bytes memory data = abi.encodePacked(uint256(0x20), _bound(count, 0, 12), new bytes(0x20 * (words % 8)));
        _assertAgrees(BATCH, data);
        _assertAgrees(BATCH_WITH_OP_DATA, data);
        _assertAgrees(BATCH_OF_BATCHES, data);
    }

    /// @dev The calldata goes on behind `executionData`. Nothing of that is read.
    function test_RevertWhen_TheCallsLieBehindTheData() external {
        bytes memory whole = _encode(_single(address(_mirror), "x"));
        // The length of `executionData`, behind the selector, the mode and the offset.
        assembly ("memory-safe") {
            mstore(add(whole, 0x64), 0x20)
        }
        _assertRevertsFrom(owner, whole, abi.encodeWithSelector(IBatchExecutor.InvalidExecutionData.selector));
    }

    function _assertAgrees(bytes32 mode, bytes memory data) private {
        bytes32 before = _mirror.seen();
        vm.prank(owner);
        // A damaged target may be a precompile, which burns all gas that a failing call of it gets.
        (bool ok, bytes memory returned) = owner.call{gas: 5_000_000}(_encode(mode, data));
        bool isInvalid = !ok && bytes4(returned) == IBatchExecutor.InvalidExecutionData.selector;
        try this.decode(mode, data) returns (IBatchExecutor.Call[] memory calls) {
            vm.assertFalse(isInvalid, "the decoder reads it");
            if (ok) vm.assertEq(_mirror.seen(), _fold(before, calls), "and reads the same calls");
        } catch {
            vm.assertFalse(ok, "the decoder refuses it");
            // A call before the fault, or a batch with opData, may have been refused first.
            bytes4 why = bytes4(returned);
            bool isKnown =
                why == IBatchExecutor.CallFailed.selector || why == IBatchExecutor.OpDataNotSupported.selector;
            vm.assertTrue(isInvalid || isKnown, "with a reason");
        }
        if (!ok) vm.assertEq(_mirror.seen(), before, "nothing of it happened");
    }

    function decode(bytes32 mode, bytes calldata data) external pure returns (IBatchExecutor.Call[] memory calls) {
        if (mode != BATCH_OF_BATCHES) return _decodeBatch(mode, data);
        bytes[] memory batches = abi.decode(data, (bytes[]));
        IBatchExecutor.Call[][] memory decoded = new IBatchExecutor.Call[][](batches.length);
        uint256 count = 0;
        for (uint256 i = 0; i < batches.length; i++) {
            decoded[i] = _decodeBatch(BATCH_WITH_OP_DATA, batches[i]);
            count += decoded[i].length;
        }
        calls = new IBatchExecutor.Call[](count);
        uint256 next = 0;
        for (uint256 i = 0; i < decoded.length; i++) {
            for (uint256 j = 0; j < decoded[i].length; j++) calls[next++] = decoded[i][j];
        }
    }

    function _decodeBatch(bytes32 mode, bytes memory data) private pure returns (IBatchExecutor.Call[] memory calls) {
        bool hasOpData = mode == BATCH_WITH_OP_DATA && data.length >= 0x40 && uint256(bytes32(data)) >= 0x40;
        if (!hasOpData) return abi.decode(data, (IBatchExecutor.Call[]));
        (calls, ) = abi.decode(data, (IBatchExecutor.Call[], bytes));
    }

    /// @dev What the mirror shows after these calls. Other targets have no code, or are the account itself.
    function _fold(bytes32 seen, IBatchExecutor.Call[] memory calls) private view returns (bytes32) {
        for (uint256 i = 0; i < calls.length; i++) {
            if (calls[i].to != address(_mirror)) continue;
            seen = _mirror.fold(seen, owner, calls[i].value, calls[i].data);
        }
        return seen;
    }

    function _calls(uint256 seed) private view returns (IBatchExecutor.Call[] memory calls) {
        calls = new IBatchExecutor.Call[](seed % 4);
        for (uint256 i = 0; i < calls.length; i++) {
            uint256 length = (seed >> (16 + 16 * i)) % 70;
            bytes memory data = new bytes(length);
            for (uint256 j = 0; j < length; j++) data[j] = bytes1(uint8(seed >> (j % 30)));
            calls[i] = IBatchExecutor.Call({to: address(_mirror), value: (seed >> (8 * i)) % 3, data: data});
        }
    }

    /// @dev Puts a word in the place of another: mostly a number like those of the encoding, or one at the limits.
    function _damage(bytes memory data, uint256 word, uint256 position) private pure returns (bytes memory) {
        position = 0x20 * _bound(position, 0, data.length / 0x20 - 1);
        uint256 kind = word % 5;
        if (kind < 3) word = ((word >> 8) % 40) * (kind == 0 ? 1 : 0x10);
        if (kind == 3) word = type(uint256).max - ((word >> 8) % 0x400);
        assembly ("memory-safe") {
            mstore(add(add(data, 0x20), position), word)
        }
        return data;
    }
}
