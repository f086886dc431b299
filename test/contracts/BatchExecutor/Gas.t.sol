// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC7821} from "@openzeppelin/contracts/account/extensions/draft-ERC7821.sol";
import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {BatchExecutor_Test} from "./BatchExecutorBase.sol";

/// @dev OpenZeppelin's draft of the same standard, alone.
contract PlainExecutor is ERC7821 {}

/// @dev Both read the same calldata, so that execution alone makes the difference.
contract BatchExecutor_Gas_Test is BatchExecutor_Test {
    function testFuzz_WhenHashesAreRemoved_CostsLessThanOpenZeppelin(uint256 count) external {
        _assertCostsLess(_bound(count, 1, 200));
    }

    function test_WhenHashesAreRemoved_CostsLessThanOpenZeppelin() external {
        _assertCostsLess(1);
        _assertCostsLess(2);
        _assertCostsLess(200);
    }

    function _assertCostsLess(uint256 count) private {
        _spend(address(executor).code, 1, 0); // So that both find the app as warm.
        uint256 ours = _spend(address(executor).code, count, 1);
        uint256 theirs = _spend(type(PlainExecutor).runtimeCode, count, 2);
        vm.assertLe(ours + 1_000 + 500 * count, theirs, "less by 1,000 gas, and by 500 for each call");
    }

    /// @param seed Of the hashes, so that each is removed once.
    function _spend(bytes memory code, uint256 count, uint256 seed) private returns (uint256 spent) {
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](count);
        for (uint256 i = 0; i < count; i++) {
            bytes32 composeHash = keccak256(abi.encode(count, seed, i));
            vm.store(address(app), _mappingCell(composeHash, 0), bytes32(uint256(1)));
            calls[i] = _call(address(app), _removing(composeHash));
        }
        bytes memory call = _encode(calls);
        vm.etch(owner, code);
        vm.prank(owner);
        spent = gasleft();
        (bool ok, ) = owner.call(call);
        spent -= gasleft();
        vm.assertTrue(ok, "all are removed");
        for (uint256 i = 0; i < count; i++) {
            vm.assertFalse(app.allowedComposeHashes(keccak256(abi.encode(count, seed, i))), "removed");
        }
    }
}
