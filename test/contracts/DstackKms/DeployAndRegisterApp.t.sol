// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";

contract DstackKms_DeployAndRegisterApp_Test is Base_Test {
    /// @dev Literal selectors: the two forms share a name, and clients encode each of them.
    bytes4 private constant SIX_ARGUMENTS = 0x9cb9c31f;
    bytes4 private constant FIVE_ARGUMENTS = 0x8618169d;

    struct Request {
        address caller;
        address initialOwner;
        bool upgradesDisabled;
        bool tcbRequired;
        bool anyDevice;
        bytes32 deviceId;
        bytes32 composeHash;
    }

    function testFuzz_WhenSixArguments(Request memory request) external {
        _assertCreates(
            request,
            abi.encodeWithSelector(
                SIX_ARGUMENTS,
                request.initialOwner,
                request.upgradesDisabled,
                request.tcbRequired,
                request.anyDevice,
                request.deviceId,
                request.composeHash
            )
        );
    }

    function testFuzz_WhenFiveArguments_TcbFlagStaysFalse(Request memory request) external {
        request.tcbRequired = false;
        _assertCreates(
            request,
            abi.encodeWithSelector(
                FIVE_ARGUMENTS,
                request.initialOwner,
                request.upgradesDisabled,
                request.anyDevice,
                request.deviceId,
                request.composeHash
            )
        );
    }

    /// @dev The same call twice creates two apps: the app id does not depend on the arguments.
    function test_WhenRepeated_AnotherAppIsCreated() external {
        address first = kms.deployAndRegisterApp(owner, false, true, 0, Defaults.COMPOSE_HASH);
        address second = kms.deployAndRegisterApp(owner, false, true, 0, Defaults.COMPOSE_HASH);
        vm.assertTrue(first != second, "two addresses");
        vm.assertTrue(kms.registeredApps(first) && kms.registeredApps(second), "both registered");
    }

    function test_WhenCreated_CodeIsAnErc1967Proxy() external {
        address created = kms.deployAndRegisterApp(owner, false, true, 0, 0);
        address expected = address(new ERC1967Proxy(address(appImplementation), abi.encodeCall(DstackApp.version, ())));
        vm.assertEq(created.code, expected.code, "runtime code");
        vm.assertEq(_implementationOf(created), address(appImplementation), "implementation");
    }

    /// @dev No call is possible between creation and initialisation, and no second initialisation after it.
    function testFuzz_RevertWhen_CreatedAppIsInitializedAgain(address caller) external {
        vm.assume(caller != address(vm));
        DstackApp created = DstackApp(kms.deployAndRegisterApp(owner, false, true, 0, 0));

        vm.expectRevert(abi.encodePacked(Initializable.InvalidInitialization.selector));
        vm.prank(caller);
        created.initialize(caller, false, true, 0, 0);
        vm.assertEq(created.owner(), owner, "owner");
    }

    function test_RevertWhen_NoImplementationIsSet() external {
        DstackKms empty = _deployKms(address(0));
        bytes memory revertData = _reason("DstackApp implementation not set");
        _assertReverts(address(empty), _sixArguments(owner), revertData, "six arguments");
        _assertReverts(address(empty), _fiveArguments(owner), revertData, "five arguments");
    }

    function test_RevertWhen_OwnerIsZero() external {
        bytes memory revertData = _reason("Invalid owner address");
        _assertReverts(address(kms), _sixArguments(address(0)), revertData, "six arguments");
        _assertReverts(address(kms), _fiveArguments(address(0)), revertData, "five arguments");
    }

    function test_RevertWhen_BothAreMissing_TheReasonIsTheImplementation() external {
        DstackKms empty = _deployKms(address(0));
        bytes memory revertData = _reason("DstackApp implementation not set");
        _assertReverts(address(empty), _sixArguments(address(0)), revertData, "six arguments");
        _assertReverts(address(empty), _fiveArguments(address(0)), revertData, "five arguments");
    }

    function test_RevertWhen_ImplementationHasNoCode() external {
        vm.prank(owner);
        kms.setAppImplementation(stranger);
        _startRecording();

        _assertReverts(
            address(kms),
            _sixArguments(owner),
            abi.encodeWithSelector(ERC1967Utils.ERC1967InvalidImplementation.selector, stranger),
            "no code"
        );
        _assertWritesNothing(address(kms));
    }

    function _assertCreates(Request memory request, bytes memory call) private {
        vm.assume(request.initialOwner != address(0) && request.caller != address(vm));
        address predicted = vm.computeCreateAddress(address(kms), vm.getNonce(address(kms)));
        _startRecording();

        vm.prank(request.caller);
        (bool ok, bytes memory returned) = address(kms).call(call);

        vm.assertTrue(ok, "the factory succeeds");
        vm.assertEq(abi.decode(returned, (address)), predicted, "returned app id");
        _assertLogs(_expectedLogs(request, predicted));
        _assertWritesOnly(address(kms), _mappingCell(_widen(predicted), Slots.KMS_REGISTERED_APPS));
        vm.assertTrue(kms.registeredApps(predicted), "registered");
        _assertApp(request, DstackApp(predicted));
    }

    /// @dev While the app is initialised its caller is the factory, so that is the actor of its first entries.
    function _expectedLogs(Request memory request, address created) private view returns (Vm.Log[] memory logs) {
        logs = new Vm.Log[](6 + (request.deviceId == 0 ? 0 : 2) + (request.composeHash == 0 ? 0 : 2));
        uint256 next = 0;
        logs[next++] = _event(created, Topics.UPGRADED, address(appImplementation));
        if (request.deviceId != 0) {
            logs[next++] = _event(created, Topics.DEVICE_ADDED, abi.encode(request.deviceId));
            logs[next++] = _policyChanged(created, address(kms), "device", request.deviceId, true);
        }
        if (request.composeHash != 0) {
            logs[next++] = _event(created, Topics.COMPOSE_HASH_ADDED, abi.encode(request.composeHash));
            logs[next++] = _policyChanged(created, address(kms), "compose-hash", request.composeHash, true);
        }
        logs[next++] = _event(created, Topics.OWNERSHIP_TRANSFERRED, address(0), request.initialOwner);
        logs[next++] = _event(created, Topics.INITIALIZED, abi.encode(1));
        logs[next++] = _event(address(kms), Topics.APP_REGISTERED, abi.encode(created));
        logs[next++] = _policyChanged(address(kms), request.caller, "registered-app", _widen(created), true);
        logs[next++] = _event(address(kms), Topics.APP_DEPLOYED_VIA_FACTORY, created, request.caller);
    }

    function _assertApp(Request memory request, DstackApp created) private view {
        vm.assertEq(_implementationOf(address(created)), address(appImplementation), "implementation");
        vm.assertEq(created.owner(), request.initialOwner, "owner");
        vm.assertEq(created.pendingOwner(), address(0), "pending owner");
        uint256 flags = uint256(vm.load(address(created), bytes32(Slots.APP_FLAGS)));
        vm.assertEq(flags, (request.upgradesDisabled ? 0x01 : 0) | (request.anyDevice ? 0x0100 : 0), "raw flags");
        vm.assertEq(created.requireTcbUpToDate(), request.tcbRequired, "TCB");
        vm.assertEq(created.allowedDeviceIds(request.deviceId), request.deviceId != 0, "device");
        vm.assertEq(created.allowedComposeHashes(request.composeHash), request.composeHash != 0, "hash");
    }

    function _sixArguments(address initialOwner) private pure returns (bytes memory) {
        return abi.encodeWithSelector(SIX_ARGUMENTS, initialOwner, false, false, false, bytes32(0), bytes32(0));
    }

    function _fiveArguments(address initialOwner) private pure returns (bytes memory) {
        return abi.encodeWithSelector(FIVE_ARGUMENTS, initialOwner, false, false, bytes32(0), bytes32(0));
    }
}
