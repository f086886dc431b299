// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {BatchExecutor} from "../../../contracts/BatchExecutor.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {TestBase} from "../support/TestBase.sol";
import {BatchExecutorHandler} from "./BatchExecutorHandler.sol";

contract BatchExecutor_Invariant_Test is TestBase {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    BatchExecutorHandler private _handler;

    function setUp() external {
        address implementation = address(new DstackApp());
        bytes memory code = address(new BatchExecutor()).code;
        address[2] memory accounts = [_actor("first account"), _actor("second account")];
        DstackApp[2] memory apps;
        for (uint256 i = 0; i < 2; i++) {
            bytes memory initialization = abi.encodeWithSignature(
                "initialize(address,bool,bool,bytes32,bytes32)",
                accounts[i],
                false,
                false,
                bytes32(0),
                bytes32(0)
            );
            apps[i] = DstackApp(address(new ERC1967Proxy(implementation, initialization)));
            vm.etch(accounts[i], code);
        }
        _handler = new BatchExecutorHandler(accounts, apps, code);
    }

    function targetContracts() external view returns (address[] memory contracts) {
        contracts = new address[](1);
        contracts[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = BatchExecutorHandler.batch.selector;
        selectors[1] = BatchExecutorHandler.batch.selector;
        selectors[2] = BatchExecutorHandler.batch.selector;
        selectors[3] = BatchExecutorHandler.delegate.selector;
        selectors[4] = BatchExecutorHandler.writePlainly.selector;
        selectors[5] = BatchExecutorHandler.callUnknown.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(_handler), selectors: selectors});
    }

    /// @dev 12
    function invariant_OnlyTheAccountsOwnBatchesHappen() external view {
        vm.assertEq(_handler.violation(), "", "violation");
        for (uint256 i = 0; i < 2; i++) {
            DstackApp app = _handler.apps(i);
            for (uint256 seed = 0; seed < _handler.VALUES(); seed++) {
                bytes32 value = _handler.value(seed);
                vm.assertEq(app.allowedComposeHashes(value), _handler.expected(address(app), value), "list");
            }
            vm.assertEq(app.owner(), _handler.accounts(i), "owner");
        }
    }

    /// @dev 13
    function invariant_TheAccountKeepsNoStorage() external view {
        for (uint256 i = 0; i < 2; i++) {
            for (uint256 slot = 0; slot < 8; slot++) {
                vm.assertEq(vm.load(_handler.accounts(i), bytes32(slot)), bytes32(0), "slot");
            }
        }
    }
}
