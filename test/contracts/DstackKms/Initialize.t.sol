// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {BareProxy} from "../../../contracts/mocks/BareProxy.sol";
import {Base_Test} from "../support/Base.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";

contract DstackKms_Initialize_Test is Base_Test {
    bytes private constant ALREADY_INITIALIZED = abi.encodePacked(Initializable.InvalidInitialization.selector);

    function testFuzz_WhenImplementationIsNamed(address initialOwner, address implementation) external {
        vm.assume(initialOwner != address(0) && implementation != address(0));
        _assertInitializes(initialOwner, implementation);
    }

    function testFuzz_WhenImplementationIsZero_NoEventNamesIt(address initialOwner) external {
        vm.assume(initialOwner != address(0));
        _assertInitializes(initialOwner, address(0));
    }

    function test_RevertWhen_OwnerIsZero() external {
        address bare = address(new BareProxy(address(kmsImplementation)));
        _assertReverts(
            bare,
            abi.encodeCall(DstackKms.initialize, (address(0), address(appImplementation))),
            abi.encodeWithSelector(OwnableUpgradeable.OwnableInvalidOwner.selector, address(0)),
            "zero owner"
        );
        vm.assertEq(vm.load(bare, Slots.INITIALIZED), 0, "still open to a correct call");
    }

    function testFuzz_RevertWhen_InitializedTwice(address caller) external {
        vm.assume(caller != address(vm));
        _startRecording();

        vm.expectRevert(ALREADY_INITIALIZED);
        vm.prank(caller);
        kms.initialize(caller, caller);

        _assertNoLogs();
        _assertWritesNothing(address(kms));
    }

    function test_RevertWhen_ImplementationItselfIsInitialized() external {
        _assertReverts(
            address(kmsImplementation),
            abi.encodeCall(DstackKms.initialize, (owner, address(appImplementation))),
            ALREADY_INITIALIZED,
            "implementation"
        );
        vm.assertEq(kmsImplementation.owner(), address(0), "owner");
        vm.assertEq(
            vm.load(address(kmsImplementation), Slots.INITIALIZED),
            bytes32(uint256(type(uint64).max)),
            "locked for ever"
        );
    }

    /// @dev The reason to create and initialise in one transaction: between two, any account can initialise.
    function test_WhenProxyIsLeftBare_AStrangerCanTakeIt() external {
        DstackKms bare = DstackKms(address(new BareProxy(address(kmsImplementation))));

        vm.prank(stranger);
        bare.initialize(stranger, address(0));

        vm.assertEq(bare.owner(), stranger, "the stranger owns it");
        vm.expectRevert(ALREADY_INITIALIZED);
        vm.prank(owner);
        bare.initialize(owner, address(appImplementation));
    }

    /// @dev The proxy of this repository cannot be deployed without initialisation.
    function test_RevertWhen_ProxyIsCreatedWithoutInitialisation() external {
        vm.expectRevert(abi.encodePacked(ERC1967Proxy.ERC1967ProxyUninitialized.selector));
        new ERC1967Proxy(address(kmsImplementation), "");
    }

    function _assertInitializes(address initialOwner, address implementation) private {
        _startRecording();

        DstackKms fresh = DstackKms(
            address(
                new ERC1967Proxy(
                    address(kmsImplementation),
                    abi.encodeCall(DstackKms.initialize, (initialOwner, implementation))
                )
            )
        );

        Vm.Log[] memory expected = new Vm.Log[](implementation == address(0) ? 3 : 5);
        uint256 next = 0;
        expected[next++] = _event(address(fresh), Topics.UPGRADED, address(kmsImplementation));
        expected[next++] = _event(address(fresh), Topics.OWNERSHIP_TRANSFERRED, address(0), initialOwner);
        if (implementation != address(0)) {
            bytes32 value = _widen(implementation);
            expected[next++] = _event(address(fresh), Topics.APP_IMPLEMENTATION_SET, abi.encode(implementation));
            expected[next++] = _policyChanged(address(fresh), address(this), "app-implementation", value, true);
        }
        expected[next++] = _event(address(fresh), Topics.INITIALIZED, abi.encode(1));
        _assertLogs(expected);
        vm.assertEq(fresh.owner(), initialOwner, "owner");
        vm.assertEq(fresh.pendingOwner(), address(0), "pending owner");
        vm.assertEq(fresh.appImplementation(), implementation, "implementation");
    }
}
