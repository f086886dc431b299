// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {BatchReenterer} from "../../../contracts/testing/hostile/BatchReenterer.sol";
import {FloodingApp} from "../../../contracts/testing/hostile/FloodingApp.sol";
import {GasBurningApp} from "../../../contracts/testing/hostile/GasBurningApp.sol";
import {Defaults} from "../support/Defaults.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";
import {BATCH, BATCH_OF_BATCHES, BatchExecutor_Test} from "./BatchExecutorBase.sol";
import {Mirror} from "./Mirror.sol";

contract BatchExecutor_Execute_Test is BatchExecutor_Test {
    function test_WhenAccountCalls_TargetsSeeTheAccount() external {
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](2);
        calls[0] = _call(address(app), _adding(Defaults.OTHER_COMPOSE_HASH));
        calls[1] = _call(address(app), _removing(Defaults.COMPOSE_HASH));
        _startRecording();

        _execute(owner, calls);

        Vm.Log[] memory logs = new Vm.Log[](4);
        bytes32 added = Defaults.OTHER_COMPOSE_HASH;
        bytes32 removed = Defaults.COMPOSE_HASH;
        logs[0] = _event(address(app), Topics.COMPOSE_HASH_ADDED, abi.encode(added));
        logs[1] = _policyChanged(address(app), owner, "compose-hash", added, true);
        logs[2] = _event(address(app), Topics.COMPOSE_HASH_REMOVED, abi.encode(removed));
        logs[3] = _policyChanged(address(app), owner, "compose-hash", removed, false);
        _assertLogs(logs);
        _assertWritesNothing(owner);
        vm.assertTrue(app.allowedComposeHashes(added), "added");
        vm.assertFalse(app.allowedComposeHashes(removed), "removed");
    }

    function test_WhenBatchIsEmpty_DoesNothing() external {
        _startRecording();
        _execute(owner, new IBatchExecutor.Call[](0));
        _assertNoLogs();
        _assertWritesNothing(owner);
    }

    function testFuzz_WhenAccountCalls_EveryCallHappensOnceInOrder(uint256 seed, uint256 count) external {
        count = _bound(count, 0, 40);
        IBatchExecutor.Call[] memory calls = _additions(count, seed);
        Vm.Log[] memory logs = new Vm.Log[](2 * count);
        for (uint256 i = 0; i < count; i++) {
            bytes32 composeHash = _hash(seed, i);
            logs[2 * i] = _event(address(app), Topics.COMPOSE_HASH_ADDED, abi.encode(composeHash));
            logs[2 * i + 1] = _policyChanged(address(app), owner, "compose-hash", composeHash, true);
        }
        _startRecording();
        _execute(owner, calls);
        _assertLogs(logs);
    }

    /// @dev More calls than one byte counts.
    function test_WhenThereAreMoreThan256Calls_EveryCallHappensOnceInOrder() external {
        Mirror mirror = new Mirror();
        IBatchExecutor.Call[] memory calls = _numbered(address(mirror), 300);
        bytes32 expected = bytes32(0);
        for (uint256 i = 0; i < 300; i++) expected = mirror.fold(expected, owner, 0, calls[i].data);
        _execute(owner, calls);
        vm.assertEq(mirror.seen(), expected, "all 300, in order");

        calls[299] = _call(address(app), _adding(0));
        _assertRevertsFrom(owner, _encode(calls), _failed(299, _reason("invalid compose hash")));
        vm.assertEq(mirror.seen(), expected, "none of the second batch");
    }

    function test_WhenThereAreMoreThan256Batches_EveryCallHappensOnceInOrder() external {
        Mirror mirror = new Mirror();
        IBatchExecutor.Call[] memory calls = _numbered(address(mirror), 300);
        bytes[] memory batches = new bytes[](300);
        bytes32 expected = bytes32(0);
        for (uint256 i = 0; i < 300; i++) {
            expected = mirror.fold(expected, owner, 0, calls[i].data);
            batches[i] = abi.encode(_single(address(mirror), calls[i].data));
        }
        vm.prank(owner);
        IBatchExecutor(owner).execute(BATCH_OF_BATCHES, abi.encode(batches));
        vm.assertEq(mirror.seen(), expected, "all 300, in order");

        batches[299] = abi.encode(_single(address(app), _adding(0)));
        bytes memory failing = _encode(BATCH_OF_BATCHES, abi.encode(batches));
        _assertRevertsFrom(owner, failing, _failed(299, _reason("invalid compose hash")));
    }

    function _numbered(address to, uint256 count) private pure returns (IBatchExecutor.Call[] memory calls) {
        calls = new IBatchExecutor.Call[](count);
        for (uint256 i = 0; i < count; i++) calls[i] = _call(to, abi.encode(i));
    }

    /// @dev A target gets what the EVM passes on, and no limit comes from the executor.
    function testFuzz_WhenATargetIsCalled_ItGetsAllGas(uint256 gas) external {
        gas = _bound(gas, 200_000, 500_000_000);
        GasRecorder recorder = new GasRecorder();
        bytes memory call = _encode(_single(address(recorder), "x"));
        vm.prank(owner);
        (bool ok, ) = owner.call{gas: gas}(call);
        vm.assertTrue(ok, "the batch succeeds");
        vm.assertLe((gas * 63) / 64 - 10_000, recorder.received(), "all but one 64th");
    }

    /// @dev As for any account: nothing runs there, and the batch goes on.
    function testFuzz_WhenTheTargetHasNoCode_TheCallSucceeds(bytes calldata data, uint96 value) external {
        vm.deal(owner, value);
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](2);
        calls[0] = IBatchExecutor.Call({to: stranger, value: value, data: data});
        calls[1] = _call(address(app), _adding(Defaults.OTHER_COMPOSE_HASH));
        uint256 before = stranger.balance;
        _execute(owner, calls);
        vm.assertEq(stranger.code.length, 0, "no code");
        vm.assertEq(stranger.balance, before + value, "it gets the ether");
        vm.assertTrue(app.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "and the rest happens");
    }

    function testFuzz_WhenAccountCalls_DataAndValueArriveUnchanged(
        bytes memory first,
        bytes memory second,
        uint96 firstValue,
        uint96 secondValue
    ) external {
        Mirror mirror = new Mirror();
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](2);
        calls[0] = IBatchExecutor.Call({to: address(mirror), value: firstValue, data: first});
        calls[1] = IBatchExecutor.Call({to: address(mirror), value: secondValue, data: second});
        uint256 sum = uint256(firstValue) + secondValue;
        vm.deal(owner, sum + 1 ether);
        _startRecording();
        _execute(owner, calls);
        bytes32 expected = mirror.fold(0, owner, firstValue, first);
        expected = mirror.fold(expected, owner, secondValue, second);
        vm.assertEq(mirror.seen(), expected, "caller, value and data, in order");
        vm.assertEq(address(mirror).balance, sum, "what the calls carry");
        vm.assertEq(owner.balance, 1 ether, "and no more");
        _assertWritesNothing(owner);
    }

    function test_RevertWhen_TheAccountCannotPayACall() external {
        vm.deal(owner, 1 ether);
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](2);
        calls[0] = _call(address(app), _adding(Defaults.OTHER_COMPOSE_HASH));
        calls[1] = IBatchExecutor.Call({to: stranger, value: 1 ether + 1, data: ""});
        _assertRevertsFrom(owner, _encode(calls), _failed(1, ""));
    }

    function test_WhenTheTransactionCarriesEther_TheAccountKeepsIt() external {
        vm.deal(owner, 2 ether);
        vm.prank(owner);
        IBatchExecutor(owner).execute{value: 2 ether}(BATCH, abi.encode(_single(stranger, "")));
        vm.assertEq(owner.balance, 2 ether, "from itself to itself");
    }

    function test_WhenTheTargetIsZero_CallsTheAccount() external {
        bytes memory inner = _encode(_single(address(app), _adding(Defaults.OTHER_COMPOSE_HASH)));
        vm.deal(owner, 1 ether);
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](2);
        calls[0] = _call(address(0), inner);
        calls[1] = IBatchExecutor.Call({to: address(0), value: 1 ether, data: ""});
        _execute(owner, calls);
        vm.assertTrue(app.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "its own batch");
        vm.assertEq(owner.balance, 1 ether, "no ether left");
    }

    function testFuzz_RevertWhen_CallerIsAnotherAccount(address caller, bytes32 composeHash) external {
        vm.assume(caller != owner);
        vm.expectRevert(abi.encodeWithSelector(IBatchExecutor.NotTheAccount.selector, caller));
        _execute(caller, _single(address(app), _adding(composeHash)));
    }

    function test_RevertWhen_AnotherDelegatedAccountCalls() external {
        vm.etch(stranger, address(executor).code);
        bytes memory theft = _encode(_single(address(app), _adding(Defaults.OTHER_COMPOSE_HASH)));
        bytes memory refusal = abi.encodeWithSelector(IBatchExecutor.NotTheAccount.selector, stranger);
        vm.prank(stranger);
        vm.expectRevert(_failed(0, refusal));
        IBatchExecutor(stranger).execute(BATCH, abi.encode(_single(owner, theft)));
    }

    function testFuzz_RevertWhen_OneCallReverts_NoCallTakesEffect(uint256 count, uint256 bad) external {
        count = _bound(count, 1, 12);
        bad = _bound(bad, 0, count - 1);
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](count);
        for (uint256 i = 0; i < count; i++) {
            // The account does not own the KMS.
            address target = i == bad ? address(kms) : address(app);
            bytes memory data =
                i == bad ? abi.encodeWithSignature("addOsImageHash(bytes32)", bytes32(i)) : _adding(bytes32(i + 1));
            calls[i] = _call(target, data);
        }
        bytes memory reason = abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, owner);
        _assertRevertsFrom(owner, _encode(calls), _failed(bad, reason));
        for (uint256 i = 0; i < count; i++) {
            vm.assertFalse(app.allowedComposeHashes(bytes32(i + 1)), "nothing of it stays");
        }
    }

    function test_RevertWhen_TargetGivesNoReason() external {
        GasBurningApp burner = new GasBurningApp();
        bytes memory call = _encode(_single(address(burner), ""));
        vm.prank(owner);
        (bool ok, bytes memory returned) = owner.call{gas: 1_000_000}(call);
        vm.assertFalse(ok, "the batch fails");
        vm.assertEq(returned, _failed(0, ""), "and says where");
    }

    function test_WhenTargetReturnsMuch_CopiesNoReturnData() external {
        FloodingApp flood = new FloodingApp(100_000);
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](2);
        calls[0] = _call(address(flood), "");
        calls[1] = _call(address(app), _adding(Defaults.OTHER_COMPOSE_HASH));
        bytes memory call = _encode(calls);
        vm.prank(owner);
        // The flood itself costs 29 thousand for its memory; a copy of it would cost as much again.
        (bool ok, ) = owner.call{gas: 29_000 + 60_000}(call);
        vm.assertTrue(ok, "the batch goes on");
        vm.assertTrue(app.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "and does the rest");
    }

    function test_WhenTargetCallsBack_IsRefused() external {
        BatchReenterer reenterer = new BatchReenterer(address(app), true);
        _execute(owner, _single(address(reenterer), _adding(Defaults.OTHER_COMPOSE_HASH)));
        vm.assertTrue(reenterer.wasKeptOut(), "only the account itself");
        vm.assertFalse(app.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "nothing came through");
    }

    function test_RevertWhen_TargetCallsBackAndReverts() external {
        BatchReenterer reenterer = new BatchReenterer(address(app), false);
        bytes memory refusal = abi.encodeWithSelector(IBatchExecutor.NotTheAccount.selector, address(reenterer));
        vm.expectRevert(_failed(0, refusal));
        _execute(owner, _single(address(reenterer), _adding(Defaults.OTHER_COMPOSE_HASH)));
    }

    function test_WhenBatchHoldsABatch_MakesBoth() external {
        bytes memory inner = _encode(_single(address(app), _adding(Defaults.OTHER_COMPOSE_HASH)));
        _execute(owner, _single(owner, inner));
        vm.assertTrue(app.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "the account called itself");
    }

    function test_RevertWhen_CalledAtItsOwnAddress() external {
        IBatchExecutor.Call[] memory calls = _single(address(app), _adding(Defaults.OTHER_COMPOSE_HASH));
        vm.expectRevert(abi.encodeWithSelector(IBatchExecutor.NotTheAccount.selector, owner));
        vm.prank(owner);
        executor.execute(BATCH, abi.encode(calls));
    }

    function test_WhenDelegationIsUndone_TheAccountHasNoCode() external {
        _execute(owner, _single(address(app), _adding(Defaults.OTHER_COMPOSE_HASH)));
        vm.etch(owner, "");
        vm.assertEq(owner.code.length, 0, "no code");
        vm.prank(owner);
        app.removeComposeHash(Defaults.OTHER_COMPOSE_HASH);
        vm.assertFalse(app.allowedComposeHashes(Defaults.OTHER_COMPOSE_HASH), "the key alone rules again");
    }
}

/// @dev Remembers the gas that it got.
contract GasRecorder {
    uint256 public received;

    fallback() external {
        received = gasleft();
    }
}
