// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {BareProxy} from "../../../contracts/mocks/BareProxy.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";

contract DstackApp_Initialize_Test is Base_Test {
    /// @dev Literal selectors: the two forms share a name, and clients encode each of them.
    bytes4 private constant SIX_ARGUMENTS = 0x9ed28193;
    bytes4 private constant FIVE_ARGUMENTS = 0x187515ca;

    bytes private constant ALREADY_INITIALIZED = abi.encodePacked(Initializable.InvalidInitialization.selector);

    function testFuzz_WhenSixArguments(
        address initialOwner,
        bool upgradesDisabled,
        bool tcbRequired,
        bool anyDevice,
        bytes32 deviceId,
        bytes32 composeHash
    ) external {
        vm.assume(initialOwner != address(0));
        bytes memory call = abi.encodeWithSelector(
            SIX_ARGUMENTS,
            initialOwner,
            upgradesDisabled,
            tcbRequired,
            anyDevice,
            deviceId,
            composeHash
        );
        DstackApp fresh = _deployAndAssertLogs(call, initialOwner, deviceId, composeHash);
        _assertState(fresh, initialOwner, upgradesDisabled, tcbRequired, anyDevice, deviceId, composeHash);
    }

    function testFuzz_WhenFiveArguments_TcbFlagStaysFalse(
        address initialOwner,
        bool upgradesDisabled,
        bool anyDevice,
        bytes32 deviceId,
        bytes32 composeHash
    ) external {
        vm.assume(initialOwner != address(0));
        bytes memory call = abi.encodeWithSelector(
            FIVE_ARGUMENTS,
            initialOwner,
            upgradesDisabled,
            anyDevice,
            deviceId,
            composeHash
        );
        DstackApp fresh = _deployAndAssertLogs(call, initialOwner, deviceId, composeHash);
        _assertState(fresh, initialOwner, upgradesDisabled, false, anyDevice, deviceId, composeHash);
    }

    function test_WhenDeviceAndHashAreZero_NeitherIsAdded() external {
        DstackApp fresh = _deployAndAssertLogs(_sixArguments(owner, 0, 0), owner, 0, 0);
        vm.assertFalse(fresh.allowedDeviceIds(0), "zero device");
        vm.assertFalse(fresh.allowedComposeHashes(0), "zero hash");
    }

    function test_RevertWhen_OwnerIsZero() external {
        DstackApp bare = DstackApp(address(new BareProxy(address(appImplementation))));
        bytes memory revertData = _reason("invalid owner address");
        _assertReverts(address(bare), _sixArguments(address(0), 0, 0), revertData, "six arguments");
        _assertReverts(address(bare), _fiveArguments(address(0)), revertData, "five arguments");
        vm.assertEq(vm.load(address(bare), Slots.INITIALIZED), 0, "still open to a correct call");
    }

    function test_RevertWhen_InitializedTwice_EitherFormAfterEither() external {
        bytes[2] memory forms = [_sixArguments(owner, 0, 0), _fiveArguments(owner)];
        for (uint256 first = 0; first < forms.length; first++) {
            for (uint256 second = 0; second < forms.length; second++) {
                address fresh = address(new ERC1967Proxy(address(appImplementation), forms[first]));
                _startRecording();
                _assertReverts(fresh, forms[second], ALREADY_INITIALIZED, "second initialisation");
                vm.assertEq(DstackApp(fresh).owner(), owner, "owner");
                _assertNoLogs();
                _assertWritesNothing(fresh);
            }
        }
    }

    function testFuzz_RevertWhen_FactoryMadeAppIsInitializedAgain(address caller) external {
        vm.assume(caller != address(vm));
        vm.expectRevert(ALREADY_INITIALIZED);
        vm.prank(caller);
        app.initialize(caller, false, true, 0, 0);

        vm.expectRevert(ALREADY_INITIALIZED);
        vm.prank(caller);
        app.initialize(caller, false, false, true, 0, 0);

        vm.assertEq(app.owner(), owner, "owner");
    }

    function test_RevertWhen_ImplementationItselfIsInitialized() external {
        _assertReverts(address(appImplementation), _sixArguments(owner, 0, 0), ALREADY_INITIALIZED, "six");
        _assertReverts(address(appImplementation), _fiveArguments(owner), ALREADY_INITIALIZED, "five");
        vm.assertEq(appImplementation.owner(), address(0), "owner");
        vm.assertEq(
            vm.load(address(appImplementation), Slots.INITIALIZED),
            bytes32(uint256(type(uint64).max)),
            "locked for ever"
        );
    }

    /// @dev The reason to create and initialise in one transaction: between two, any account can initialise.
    function test_WhenProxyIsLeftBare_AStrangerCanTakeIt() external {
        DstackApp bare = DstackApp(address(new BareProxy(address(appImplementation))));

        vm.prank(stranger);
        bare.initialize(stranger, false, true, 0, Defaults.OTHER_COMPOSE_HASH);

        vm.assertEq(bare.owner(), stranger, "the stranger owns it");
        vm.expectRevert(ALREADY_INITIALIZED);
        vm.prank(owner);
        bare.initialize(owner, false, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH);
    }

    function _deployAndAssertLogs(
        bytes memory call,
        address initialOwner,
        bytes32 deviceId,
        bytes32 composeHash
    ) private returns (DstackApp fresh) {
        _startRecording();
        fresh = DstackApp(address(new ERC1967Proxy(address(appImplementation), call)));

        Vm.Log[] memory expected = new Vm.Log[](3 + (deviceId == 0 ? 0 : 2) + (composeHash == 0 ? 0 : 2));
        uint256 next = 0;
        expected[next++] = _event(address(fresh), Topics.UPGRADED, address(appImplementation));
        if (deviceId != 0) {
            expected[next++] = _event(address(fresh), Topics.DEVICE_ADDED, abi.encode(deviceId));
            expected[next++] = _policyChanged(address(fresh), address(this), "device", deviceId, true);
        }
        if (composeHash != 0) {
            expected[next++] = _event(address(fresh), Topics.COMPOSE_HASH_ADDED, abi.encode(composeHash));
            expected[next++] = _policyChanged(address(fresh), address(this), "compose-hash", composeHash, true);
        }
        expected[next++] = _event(address(fresh), Topics.OWNERSHIP_TRANSFERRED, address(0), initialOwner);
        expected[next++] = _event(address(fresh), Topics.INITIALIZED, abi.encode(1));
        _assertLogs(expected);
    }

    function _assertState(
        DstackApp fresh,
        address initialOwner,
        bool upgradesDisabled,
        bool tcbRequired,
        bool anyDevice,
        bytes32 deviceId,
        bytes32 composeHash
    ) private view {
        vm.assertEq(fresh.owner(), initialOwner, "owner");
        vm.assertEq(fresh.pendingOwner(), address(0), "pending owner");
        uint256 flags = uint256(vm.load(address(fresh), bytes32(Slots.APP_FLAGS)));
        vm.assertEq(flags, (upgradesDisabled ? 0x01 : 0) | (anyDevice ? 0x0100 : 0), "raw flags");
        vm.assertEq(fresh.allowAnyDevice(), anyDevice, "any device");
        vm.assertEq(fresh.requireTcbUpToDate(), tcbRequired, "TCB");
        vm.assertEq(fresh.allowedDeviceIds(deviceId), deviceId != 0, "device");
        vm.assertEq(fresh.allowedComposeHashes(composeHash), composeHash != 0, "hash");
    }

    function _sixArguments(
        address initialOwner,
        bytes32 deviceId,
        bytes32 composeHash
    ) private pure returns (bytes memory) {
        return abi.encodeWithSelector(SIX_ARGUMENTS, initialOwner, false, false, false, deviceId, composeHash);
    }

    function _fiveArguments(address initialOwner) private pure returns (bytes memory) {
        return abi.encodeWithSelector(FIVE_ARGUMENTS, initialOwner, false, false, bytes32(0), bytes32(0));
    }
}
