// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {BatchExecutor} from "../../../contracts/BatchExecutor.sol";
import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {IAppAuthBasicManagement} from "../../../contracts/interfaces/IAppAuthBasicManagement.sol";
import {Base_Test} from "../support/Base.sol";

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
        IBatchExecutor(owner).execute(calls);
    }

    function _single(address target, bytes memory data) internal pure returns (IBatchExecutor.Call[] memory calls) {
        calls = new IBatchExecutor.Call[](1);
        calls[0] = IBatchExecutor.Call({target: target, data: data});
    }

    function _adding(bytes32 composeHash) internal pure returns (bytes memory) {
        return abi.encodeCall(IAppAuthBasicManagement.addComposeHash, (composeHash));
    }

    function _removing(bytes32 composeHash) internal pure returns (bytes memory) {
        return abi.encodeCall(IAppAuthBasicManagement.removeComposeHash, (composeHash));
    }

    function _failed(uint256 index, bytes memory reason) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IBatchExecutor.CallFailed.selector, index, reason);
    }
}
