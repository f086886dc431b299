// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {BatchExecutor} from "../../../contracts/BatchExecutor.sol";
import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {IAppAuthBasicManagement} from "../../../contracts/interfaces/IAppAuthBasicManagement.sol";
import {Base_Test} from "../support/Base.sol";

bytes32 constant BATCH = 0x0100000000000000000000000000000000000000000000000000000000000000;
bytes32 constant BATCH_WITH_OP_DATA = 0x0100000000007821000100000000000000000000000000000000000000000000;
bytes32 constant BATCH_OF_BATCHES = 0x0100000000007821000200000000000000000000000000000000000000000000;

/// @dev The owner of the default app delegates to the executor. The tests run on Cancun, which has no delegations;
/// code that neither reads its own address nor writes storage is the same code when it is put at the account itself.
abstract contract BatchExecutor_Test is Base_Test {
    uint256 internal constant OWNER_KEY = 0xA11CE;

    BatchExecutor internal executor;

    function setUp() public virtual override {
        super.setUp();
        executor = new BatchExecutor();
        address account = vm.addr(OWNER_KEY);
        vm.label(account, "account");
        vm.prank(owner);
        app.transferOwnership(account);
        vm.prank(account);
        app.acceptOwnership();
        owner = account;
        vm.etch(account, address(executor).code);
    }

    function _execute(address caller, IBatchExecutor.Call[] memory calls) internal {
        vm.prank(caller);
        IBatchExecutor(owner).execute(BATCH, abi.encode(calls));
    }

    function _encode(IBatchExecutor.Call[] memory calls) internal pure returns (bytes memory) {
        return _encode(BATCH, abi.encode(calls));
    }

    function _encode(bytes32 mode, bytes memory executionData) internal pure returns (bytes memory) {
        return abi.encodeCall(IBatchExecutor.execute, (mode, executionData));
    }

    function _single(address to, bytes memory data) internal pure returns (IBatchExecutor.Call[] memory calls) {
        calls = new IBatchExecutor.Call[](1);
        calls[0] = _call(to, data);
    }

    function _call(address to, bytes memory data) internal pure returns (IBatchExecutor.Call memory) {
        return IBatchExecutor.Call({to: to, value: 0, data: data});
    }

    function _assertRevertsFrom(address caller, bytes memory call, bytes memory revertData) internal {
        vm.prank(caller);
        _assertReverts(owner, call, revertData, "the batch fails, and says where and why");
    }

    function _adding(bytes32 composeHash) internal pure returns (bytes memory) {
        return abi.encodeCall(IAppAuthBasicManagement.addComposeHash, (composeHash));
    }

    function _removing(bytes32 composeHash) internal pure returns (bytes memory) {
        return abi.encodeCall(IAppAuthBasicManagement.removeComposeHash, (composeHash));
    }

    /// @dev Adds as many different compose hashes to the app, starting from a seed.
    function _additions(uint256 count, uint256 seed) internal view returns (IBatchExecutor.Call[] memory calls) {
        calls = new IBatchExecutor.Call[](count);
        for (uint256 i = 0; i < count; i++) calls[i] = _call(address(app), _adding(_hash(seed, i)));
    }

    function _hash(uint256 seed, uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode(seed, index));
    }

    function _failed(uint256 index, bytes memory reason) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IBatchExecutor.CallFailed.selector, index, reason);
    }
}
