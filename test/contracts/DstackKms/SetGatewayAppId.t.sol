// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";
import {OwnerOnlyBehaviour} from "../support/behaviours/OwnerOnlyBehaviour.sol";

contract DstackKms_SetGatewayAppId_Test is OwnerOnlyBehaviour {
    function _target() internal view override returns (address) {
        return address(kms);
    }

    function _call(bytes32 seed) internal override {
        kms.setGatewayAppId(string(abi.encode(seed)));
    }

    function testFuzz_WhenCallerIsOwner(string calldata appId, string calldata before) external {
        vm.prank(owner);
        kms.setGatewayAppId(before);
        _startRecording();

        vm.prank(owner);
        kms.setGatewayAppId(appId);

        _assertLogs(_expectedLogs(appId));
        vm.assertEq(kms.gatewayAppId(), appId, "getter");
    }

    function test_WhenRepeated_SucceedsAndEmitsAgain() external {
        vm.startPrank(owner);
        kms.setGatewayAppId(Defaults.GATEWAY_APP_ID);
        _startRecording();
        kms.setGatewayAppId(Defaults.GATEWAY_APP_ID);
        vm.stopPrank();

        _assertLogs(_expectedLogs(Defaults.GATEWAY_APP_ID));
        vm.assertEq(kms.gatewayAppId(), Defaults.GATEWAY_APP_ID, "getter");
    }

    /// @dev Up to 31 bytes are stored in the slot itself, so only one word may change.
    function test_WhenValueIsShort_OneSlotIsWritten() external {
        _startRecording();

        vm.prank(owner);
        kms.setGatewayAppId(Defaults.SHORT_GATEWAY_APP_ID);

        _assertWritesOnly(address(kms), bytes32(Slots.KMS_GATEWAY_APP_ID));
    }

    function _expectedLogs(string memory appId) private view returns (Vm.Log[] memory) {
        return
            _logs(
                _event(address(kms), Topics.GATEWAY_APP_ID_SET, abi.encode(appId)),
                _policyChanged(address(kms), owner, "gateway-app-id", keccak256(bytes(appId)), true)
            );
    }
}
