// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IDstackAppEnumerable} from "../../../contracts/extensions/IDstackAppEnumerable.sol";
import {EnumerableApp} from "../../../contracts/presets/EnumerableApp.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

contract EnumerableApp_Test is Base_Test {
    /// @dev Created with the extension.
    EnumerableApp private fresh;
    /// @dev Created without it, with a second hash, and upgraded.
    EnumerableApp private upgraded;

    function setUp() public override {
        super.setUp();
        EnumerableApp implementation = new EnumerableApp();
        vm.startPrank(owner);
        app.addComposeHash(Defaults.OTHER_COMPOSE_HASH);
        app.upgradeToAndCall(address(implementation), "");
        kms.setAppImplementation(address(implementation));
        vm.stopPrank();
        upgraded = EnumerableApp(address(app));
        fresh = EnumerableApp(
            kms.deployAndRegisterApp(owner, false, false, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH)
        );
    }

    function test_WhenCreated_ListsAreComplete() external view {
        vm.assertTrue(fresh.isComplete(), "complete");
        _assertHashes(fresh, _list(Defaults.COMPOSE_HASH), true);
        (bytes32[] memory devices, bool complete) = fresh.deviceIds();
        vm.assertTrue(complete && devices.length == 1 && devices[0] == Defaults.DEVICE_ID, "devices");
        vm.assertEq(fresh.composeHashAt(0), Defaults.COMPOSE_HASH, "hash at");
        vm.assertEq(fresh.deviceIdAt(0), Defaults.DEVICE_ID, "device at");
    }

    function test_WhenUpgraded_AnswersSayThatTheyAreIncomplete() external view {
        vm.assertFalse(upgraded.isComplete(), "incomplete");
        _assertHashes(upgraded, new bytes32[](0), false);
        (uint256 hashCount, bool isComplete) = upgraded.composeHashCount();
        (uint256 deviceCount, bool areDevicesComplete) = upgraded.deviceCount();
        vm.assertEq(hashCount + deviceCount, 0, "counts");
        vm.assertFalse(isComplete || areDevicesComplete, "counts are incomplete");
    }

    function test_WhenUpgraded_NewEntriesAreListedAndOldOnesRemovable() external {
        bytes32 added = keccak256("added");
        vm.startPrank(owner);
        upgraded.addComposeHash(added);
        upgraded.removeComposeHash(Defaults.COMPOSE_HASH);
        vm.stopPrank();
        _assertHashes(upgraded, _list(added), false);
        vm.assertFalse(upgraded.allowedComposeHashes(Defaults.COMPOSE_HASH), "removed");
    }

    function test_WhenImported_ListsWhatTheMappingAllows() external {
        bytes32[] memory hashes = _list(Defaults.COMPOSE_HASH, Defaults.OTHER_COMPOSE_HASH);
        vm.prank(stranger);
        upgraded.importEntries(hashes, _list(Defaults.DEVICE_ID));
        // Twice changes nothing.
        upgraded.importEntries(hashes, new bytes32[](0));
        _assertHashes(upgraded, hashes, false);

        _startRecording();
        vm.prank(owner);
        upgraded.completeImport();
        _assertLogs(_logs(_event(address(upgraded), keccak256("ImportCompleted(uint256,uint256)"), abi.encode(2, 1))));
        _assertHashes(upgraded, hashes, true);
    }

    function test_RevertWhen_ImportedEntryIsNotAllowed() external {
        bytes32 unknown = keccak256("unknown");
        bytes memory revertData = abi.encodeWithSelector(IDstackAppEnumerable.EntryNotAllowed.selector, unknown);
        vm.expectRevert(revertData);
        upgraded.importEntries(_list(Defaults.COMPOSE_HASH, unknown), new bytes32[](0));
        vm.expectRevert(revertData);
        upgraded.importEntries(new bytes32[](0), _list(unknown));
        _assertHashes(upgraded, new bytes32[](0), false);
    }

    function test_RevertWhen_ImportIsCompletedAlready() external {
        bytes memory revertData = abi.encodeWithSelector(IDstackAppEnumerable.ImportAlreadyCompleted.selector);
        vm.expectRevert(revertData);
        fresh.importEntries(_list(Defaults.COMPOSE_HASH), new bytes32[](0));
        vm.expectRevert(revertData);
        vm.prank(owner);
        fresh.completeImport();
    }

    function testFuzz_RevertWhen_CallerIsNotTheOwner(address caller) external {
        _assumeStranger(caller);
        bytes memory revertData = abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", caller);
        vm.startPrank(caller);
        vm.expectRevert(revertData);
        upgraded.completeImport();
        vm.expectRevert(revertData);
        fresh.revokeAllExcept(new bytes32[](0));
        vm.stopPrank();
    }

    function test_RevokeAllExcept_RemovesTheOthers() external {
        vm.startPrank(owner);
        fresh.addComposeHash(Defaults.OTHER_COMPOSE_HASH);
        fresh.addComposeHash(keccak256("third"));
        _startRecording();
        fresh.revokeAllExcept(_list(Defaults.OTHER_COMPOSE_HASH));
        vm.stopPrank();
        vm.assertEq(vm.getRecordedLogs().length, 4, "two events for each of two");
        _assertHashes(fresh, _list(Defaults.OTHER_COMPOSE_HASH), true);
        vm.assertFalse(fresh.allowedComposeHashes(Defaults.COMPOSE_HASH), "first");
        vm.assertFalse(fresh.allowedComposeHashes(keccak256("third")), "third");
    }

    function test_RevokeAllExcept_WhenNothingIsKept_RemovesAll() external {
        vm.prank(owner);
        fresh.revokeAllExcept(new bytes32[](0));
        _assertHashes(fresh, new bytes32[](0), true);
        (bytes32[] memory devices, ) = fresh.deviceIds();
        vm.assertEq(devices.length, 1, "devices stay");
    }

    function test_RevertWhen_RevokingFromIncompleteLists() external {
        vm.expectRevert(abi.encodeWithSelector(IDstackAppEnumerable.ListsIncomplete.selector));
        vm.prank(owner);
        upgraded.revokeAllExcept(new bytes32[](0));
    }

    function test_RevertWhen_RevokingNothing() external {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDstackAppEnumerable.NothingToRevoke.selector));
        fresh.revokeAllExcept(_list(Defaults.COMPOSE_HASH));
        bytes32 unknown = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(IDstackAppEnumerable.EntryNotAllowed.selector, unknown));
        fresh.revokeAllExcept(_list(unknown));
        vm.stopPrank();
    }

    /// @dev Each step adds or removes one of four hashes or devices, so that repeated and useless calls happen too.
    function testFuzz_ListsAreTheMappings(uint256 steps) external {
        vm.startPrank(owner);
        for (uint256 i = 0; i < 24; i++) {
            bytes32 entry = bytes32(1 + ((steps >> (8 * i)) % 4));
            uint256 kind = (steps >> (8 * i + 4)) % 4;
            if (kind == 0) fresh.addComposeHash(entry);
            if (kind == 1) fresh.removeComposeHash(entry);
            if (kind == 2) fresh.addDevice(entry);
            if (kind == 3) fresh.removeDevice(entry);
        }
        vm.stopPrank();
        (bytes32[] memory hashes, ) = fresh.composeHashes();
        (bytes32[] memory devices, ) = fresh.deviceIds();
        uint256 allowed = 0;
        for (uint256 i = 1; i <= 4; i++) {
            if (fresh.allowedComposeHashes(bytes32(i))) allowed++;
            if (fresh.allowedDeviceIds(bytes32(i))) allowed++;
        }
        // The first hash and the first device are not among the four.
        vm.assertEq(hashes.length + devices.length, allowed + 2, "no more and no fewer");
        for (uint256 i = 0; i < hashes.length; i++) vm.assertTrue(fresh.allowedComposeHashes(hashes[i]), "allowed");
        for (uint256 i = 0; i < devices.length; i++) vm.assertTrue(fresh.allowedDeviceIds(devices[i]), "listed");
    }

    function test_SupportsItsInterface() external view {
        vm.assertTrue(fresh.supportsInterface(type(IDstackAppEnumerable).interfaceId), "enumerable");
        vm.assertTrue(fresh.supportsInterface(Defaults.APP_AUTH_ID), "auth");
        vm.assertFalse(fresh.supportsInterface(Defaults.ERC165_INVALID_ID), "invalid");
    }

    function _assertHashes(EnumerableApp target, bytes32[] memory expected, bool isComplete) private view {
        (bytes32[] memory values, bool complete) = target.composeHashes();
        (uint256 count, bool isCountComplete) = target.composeHashCount();
        vm.assertEq(abi.encode(values), abi.encode(expected), "hashes");
        vm.assertEq(count, expected.length, "count");
        vm.assertTrue(complete == isComplete && isCountComplete == isComplete, "completeness");
    }

    function _list(bytes32 first) private pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = first;
    }

    function _list(bytes32 first, bytes32 second) private pure returns (bytes32[] memory list) {
        list = new bytes32[](2);
        list[0] = first;
        list[1] = second;
    }
}
