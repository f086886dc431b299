// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {IDstackAppBatch} from "../../../contracts/extensions/IDstackAppBatch.sol";
import {BatchApp} from "../../../contracts/presets/BatchApp.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";

contract BatchApp_Test is Base_Test {
    /// @dev bench/prune-gas/floor.ts: the least gas for 56 removals in one transaction, before refunds, and 6 % more. The
    /// first term is that of the transaction itself: 21,000 and the calldata.
    uint256 private constant CALLDATA_GAS = 21_000 + 56 * 32 * 16 + 68 * 16;
    uint256 private constant FLOOR_OF_56 = 27_800 + 56 * 8_649;

    BatchApp private batch;

    function setUp() public override {
        super.setUp();
        batch = BatchApp(address(app));
    }

    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }

    function test_AddComposeHashes_HasTheEventsOfEach() external {
        bytes32[] memory hashes = _entries(2);
        _startRecording();
        vm.prank(owner);
        batch.addComposeHashes(hashes);
        _assertEvents(hashes, Topics.COMPOSE_HASH_ADDED, "compose-hash", true);
        for (uint256 i = 0; i < 2; i++) vm.assertTrue(batch.allowedComposeHashes(hashes[i]), "allowed");
    }

    function test_RemoveComposeHashes_HasTheEventsOfEach() external {
        bytes32[] memory hashes = _entries(2);
        vm.startPrank(owner);
        batch.addComposeHashes(hashes);
        _startRecording();
        batch.removeComposeHashes(hashes);
        vm.stopPrank();
        _assertEvents(hashes, Topics.COMPOSE_HASH_REMOVED, "compose-hash", false);
        for (uint256 i = 0; i < 2; i++) vm.assertFalse(batch.allowedComposeHashes(hashes[i]), "gone");
        vm.assertTrue(batch.allowedComposeHashes(Defaults.COMPOSE_HASH), "the others stay");
    }

    function test_AddAndRemoveDevices_HaveTheEventsOfEach() external {
        bytes32[] memory devices = _entries(2);
        vm.startPrank(owner);
        _startRecording();
        batch.addDevices(devices);
        _assertEvents(devices, Topics.DEVICE_ADDED, "device", true);
        vm.assertTrue(batch.allowedDeviceIds(devices[0]) && batch.allowedDeviceIds(devices[1]), "listed");
        vm.recordLogs();
        batch.removeDevices(devices);
        vm.stopPrank();
        _assertEvents(devices, Topics.DEVICE_REMOVED, "device", false);
        vm.assertFalse(batch.allowedDeviceIds(devices[0]) || batch.allowedDeviceIds(devices[1]), "gone");
    }

    function test_ReplaceComposeHash_AddsThenRemoves() external {
        _startRecording();
        vm.prank(owner);
        batch.replaceComposeHash(Defaults.COMPOSE_HASH, Defaults.OTHER_COMPOSE_HASH);
        Vm.Log[] memory expected = new Vm.Log[](4);
        bytes32 next = Defaults.OTHER_COMPOSE_HASH;
        bytes32 old = Defaults.COMPOSE_HASH;
        expected[0] = _event(address(batch), Topics.COMPOSE_HASH_ADDED, abi.encode(next));
        expected[1] = _policyChanged(address(batch), owner, "compose-hash", next, true);
        expected[2] = _event(address(batch), Topics.COMPOSE_HASH_REMOVED, abi.encode(old));
        expected[3] = _policyChanged(address(batch), owner, "compose-hash", old, false);
        _assertLogs(expected);
        vm.assertTrue(batch.allowedComposeHashes(next), "new");
        vm.assertFalse(batch.allowedComposeHashes(old), "old");
    }

    function test_RevertWhen_AnEntryStaysAsItIs() external {
        bytes32[] memory hashes = _entries(2);
        bytes32[] memory twice = _entries(2);
        twice[1] = twice[0];
        bytes32 known = Defaults.COMPOSE_HASH;
        vm.startPrank(owner);
        _expectUnchanged(hashes[0]);
        batch.removeComposeHashes(hashes);
        _expectUnchanged(hashes[0]);
        batch.removeDevices(hashes);
        _expectUnchanged(twice[0]);
        batch.addComposeHashes(twice);
        _expectUnchanged(twice[0]);
        batch.addDevices(twice);
        _expectUnchanged(hashes[0]);
        batch.replaceComposeHash(hashes[0], hashes[1]);
        _expectUnchanged(known);
        batch.replaceComposeHash(known, known);
        vm.stopPrank();
        vm.assertFalse(batch.allowedComposeHashes(twice[0]), "nothing of it happened");
    }

    function test_RevertWhen_TheBatchIsEmpty() external {
        bytes32[] memory none = new bytes32[](0);
        bytes memory revertData = abi.encodeWithSelector(IDstackAppBatch.EmptyBatch.selector);
        vm.startPrank(owner);
        vm.expectRevert(revertData);
        batch.addComposeHashes(none);
        vm.expectRevert(revertData);
        batch.removeComposeHashes(none);
        vm.expectRevert(revertData);
        batch.addDevices(none);
        vm.expectRevert(revertData);
        batch.removeDevices(none);
        vm.stopPrank();
    }

    function test_RevertWhen_ZeroIsAdded() external {
        bytes32[] memory zero = new bytes32[](1);
        vm.startPrank(owner);
        vm.expectRevert(_reason("invalid compose hash"));
        batch.addComposeHashes(zero);
        vm.expectRevert(_reason("invalid device ID"));
        batch.addDevices(zero);
        vm.expectRevert(_reason("invalid compose hash"));
        batch.replaceComposeHash(Defaults.COMPOSE_HASH, 0);
        vm.stopPrank();
    }

    function testFuzz_RevertWhen_CallerIsNotTheOwner(address caller) external {
        _assumeStranger(caller);
        bytes memory revertData = abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", caller);
        bytes32[] memory entries = _entries(1);
        vm.startPrank(caller);
        vm.expectRevert(revertData);
        batch.addComposeHashes(entries);
        vm.expectRevert(revertData);
        batch.removeComposeHashes(entries);
        vm.expectRevert(revertData);
        batch.addDevices(entries);
        vm.expectRevert(revertData);
        batch.removeDevices(entries);
        vm.expectRevert(revertData);
        batch.replaceComposeHash(Defaults.COMPOSE_HASH, entries[0]);
        vm.stopPrank();
    }

    function test_SupportsItsInterface() external view {
        vm.assertTrue(batch.supportsInterface(type(IDstackAppBatch).interfaceId), "batch");
        vm.assertTrue(batch.supportsInterface(Defaults.APP_AUTH_BASIC_MANAGEMENT_ID), "management");
        vm.assertFalse(batch.supportsInterface(Defaults.ERC165_INVALID_ID), "invalid");
    }

    function test_Gas_WhenRemoving56Hashes() external {
        bytes32[] memory hashes = _entries(56);
        vm.startPrank(owner);
        batch.addComposeHashes(hashes);
        vm.cool(address(batch));
        vm.cool(address(appImplementation));
        uint256 before = gasleft();
        batch.removeComposeHashes(hashes);
        uint256 spent = before - gasleft() + CALLDATA_GAS;
        vm.stopPrank();
        vm.assertLe(spent * 100, FLOOR_OF_56 * 106, "gas of 56 removals");
    }

    function _assertEvents(bytes32[] memory entries, bytes32 topic, string memory policy, bool enabled) private {
        Vm.Log[] memory expected = new Vm.Log[](2 * entries.length);
        for (uint256 i = 0; i < entries.length; i++) {
            expected[2 * i] = _event(address(batch), topic, abi.encode(entries[i]));
            expected[2 * i + 1] = _policyChanged(address(batch), owner, policy, entries[i], enabled);
        }
        _assertLogs(expected);
    }

    function _expectUnchanged(bytes32 entry) private {
        vm.expectRevert(abi.encodeWithSelector(IDstackAppBatch.EntryUnchanged.selector, entry));
    }

    function _entries(uint256 count) private pure returns (bytes32[] memory entries) {
        entries = new bytes32[](count);
        for (uint256 i = 0; i < count; i++) entries[i] = keccak256(abi.encode("entry", i));
    }
}
