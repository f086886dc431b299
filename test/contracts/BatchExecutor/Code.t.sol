// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {BatchExecutor_Test} from "./BatchExecutorBase.sol";

contract BatchExecutor_Code_Test is BatchExecutor_Test {
    /// @dev Holds for every input: an instruction that the code does not contain cannot be executed.
    function test_WhenTheCodeIsRead_NoInstructionStoresDelegatesCreatesOrDestructs() external view {
        bytes memory code = address(executor).code;
        uint256 calls = 0;
        for (uint256 i = 0; i < code.length; i++) {
            uint8 instruction = uint8(code[i]);
            vm.assertFalse(instruction == 0x55 || instruction == 0x5d, "SSTORE, TSTORE");
            vm.assertFalse(instruction == 0xf4 || instruction == 0xf2, "DELEGATECALL, CALLCODE");
            vm.assertFalse(instruction == 0xf0 || instruction == 0xf5, "CREATE, CREATE2");
            vm.assertFalse(instruction == 0xff, "SELFDESTRUCT");
            if (instruction == 0xf1) calls++;
            // The bytes behind PUSH1 to PUSH32 are data.
            if (instruction >= 0x60 && instruction <= 0x7f) i += instruction - 0x5f;
        }
        vm.assertEq(calls, 1, "one CALL");
    }
}
