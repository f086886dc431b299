// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {BATCH, BATCH_OF_BATCHES, BATCH_WITH_OP_DATA, BatchExecutor_Test} from "./BatchExecutorBase.sol";

contract BatchExecutor_Modes_Test is BatchExecutor_Test {
    /// @dev The first ten bytes, without bytes 2 to 5.
    function testFuzz_WhenAskedForAMode_AnswersByTheTable(bytes32 random, uint256 row, bytes4 reserved) external view {
        bytes32[6] memory table = [
            BATCH,
            BATCH_WITH_OP_DATA,
            BATCH_OF_BATCHES,
            // One call, a batch that goes on after a failure, and an unknown format.
            bytes32(0),
            bytes32(0x0101000000000000000000000000000000000000000000000000000000000000),
            bytes32(0x0100000000007821000300000000000000000000000000000000000000000000)
        ];
        row %= 7;
        bytes32 ignored = (random >> 80) | (bytes32(reserved) >> 16);
        bytes32 mode = row == 6 ? random : table[row] | ignored;
        vm.assertEq(IBatchExecutor(owner).supportsExecutionMode(mode), _isSupported(mode), "by the table");
        if (row < 3) vm.assertTrue(_isSupported(mode), "all other bytes are ignored");
        if (row > 2 && row < 6) vm.assertFalse(_isSupported(mode), "none of these");
    }

    function testFuzz_WhenTheModeIsSupported_ExecutesAndOtherwiseReverts(bytes32 mode, uint256 seed) external {
        uint256 kind = seed % 4;
        if (kind < 3) mode = ([BATCH, BATCH_WITH_OP_DATA, BATCH_OF_BATCHES])[kind] | (mode >> 80);
        bytes memory data = abi.encode(_additions(2, seed));
        if (kind == 2) data = abi.encode(_list(data));
        if (_isSupported(mode)) {
            vm.prank(owner);
            IBatchExecutor(owner).execute(mode, data);
        } else {
            bytes memory refusal = abi.encodeWithSelector(IBatchExecutor.UnsupportedExecutionMode.selector);
            _assertRevertsFrom(owner, _encode(mode, data), refusal);
        }
        for (uint256 i = 0; i < 2; i++) {
            vm.assertEq(app.allowedComposeHashes(_hash(seed, i)), _isSupported(mode), "both or none");
        }
    }

    function testFuzz_RevertWhen_CallerIsAnother_InAnyMode(address caller, bytes32 mode, bytes calldata data) external {
        vm.assume(caller != owner);
        bytes memory refusal = abi.encodeWithSelector(IBatchExecutor.NotTheAccount.selector, caller);
        _assertRevertsFrom(caller, _encode(mode, data), refusal);
    }

    function test_WhenOpDataIsEmpty_Executes() external {
        vm.startPrank(owner);
        IBatchExecutor(owner).execute(BATCH_WITH_OP_DATA, abi.encode(_additions(1, 0)));
        IBatchExecutor(owner).execute(BATCH_WITH_OP_DATA, abi.encode(_additions(1, 1), bytes("")));
        bytes memory both = abi.encode(_list(abi.encode(_additions(1, 2), bytes(""))));
        IBatchExecutor(owner).execute(BATCH_OF_BATCHES, both);
        vm.stopPrank();
        for (uint256 seed = 0; seed < 3; seed++) vm.assertTrue(app.allowedComposeHashes(_hash(seed, 0)), "added");
    }

    function testFuzz_RevertWhen_ThereIsOpData(bytes calldata opData) external {
        vm.assume(opData.length > 0);
        bytes memory refusal = abi.encodeWithSelector(IBatchExecutor.OpDataNotSupported.selector);
        bytes memory data = abi.encode(_additions(1, 0), opData);
        _assertRevertsFrom(owner, _encode(BATCH_WITH_OP_DATA, data), refusal);
        bytes[] memory batches = new bytes[](2);
        (batches[0], batches[1]) = (abi.encode(_additions(1, 1)), data);
        _assertRevertsFrom(owner, _encode(BATCH_OF_BATCHES, abi.encode(batches)), refusal);
        vm.assertFalse(app.allowedComposeHashes(_hash(0, 0)) || app.allowedComposeHashes(_hash(1, 0)), "nothing");
    }

    /// @dev Cuts calls into batches of up to three, some of them empty.
    function testFuzz_WhenThereAreBatches_EveryCallHappensOnceAndAFailureCountsThroughThem(
        uint256 count,
        uint256 bad,
        uint256 cuts
    ) external {
        count = _bound(count, 0, 12);
        bad = _bound(bad, 0, 2 * count);
        IBatchExecutor.Call[] memory calls = _additions(count, cuts);
        // The KMS belongs to another account.
        if (bad < count) calls[bad].to = address(kms);
        if (bad < count) calls[bad].data = abi.encodeWithSignature("addOsImageHash(bytes32)", bytes32(bad));
        bytes memory call = _encode(BATCH_OF_BATCHES, abi.encode(_cut(calls, cuts)));
        if (bad < count) {
            bytes memory reason = abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, owner);
            _assertRevertsFrom(owner, call, _failed(bad, reason));
        } else {
            vm.prank(owner);
            (bool ok, ) = owner.call(call);
            vm.assertTrue(ok, "all of them");
        }
        for (uint256 i = 0; i < count; i++) {
            vm.assertEq(app.allowedComposeHashes(_hash(cuts, i)), bad >= count, "all or none");
        }
    }

    function _isSupported(bytes32 mode) private pure returns (bool) {
        bytes10 start = bytes10(mode);
        bool isBatch = start[0] == 0x01 && start[1] == 0x00;
        bytes4 format = bytes4(mode << 48);
        return isBatch && (format == 0x00000000 || format == 0x78210001 || format == 0x78210002);
    }

    function _list(bytes memory batch) private pure returns (bytes[] memory batches) {
        batches = new bytes[](1);
        batches[0] = batch;
    }

    function _cut(IBatchExecutor.Call[] memory calls, uint256 cuts) private pure returns (bytes[] memory batches) {
        batches = new bytes[](calls.length + 4);
        uint256 next = 0;
        for (uint256 i = 0; i < batches.length; i++) {
            uint256 size = i == batches.length - 1 ? calls.length - next : (cuts >> (8 * i)) % 4;
            if (size > calls.length - next) size = calls.length - next;
            IBatchExecutor.Call[] memory batch = new IBatchExecutor.Call[](size);
            for (uint256 j = 0; j < size; j++) batch[j] = calls[next++];
            batches[i] = abi.encode(batch);
        }
    }
}
