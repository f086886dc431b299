// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableLike} from "../support/OwnableLike.sol";
import {Slots} from "../support/Slots.sol";
import {TestBase} from "../support/TestBase.sol";
import {Handler} from "./Handler.sol";

/// @dev Invariants 3 to 6, and the functions that name the targets for both runners.
abstract contract InvariantBase is TestBase {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function _handler() internal view virtual returns (Handler);
    function _selectors() internal view virtual returns (bytes4[] memory);
    function _bareImplementation() internal view virtual returns (address);
    function _gap() internal pure virtual returns (uint256 start, uint256 length);

    function targetContracts() external view returns (address[] memory contracts) {
        contracts = new address[](1);
        contracts[0] = address(_handler());
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(_handler()), selectors: _selectors()});
    }

    /// @dev 3
    function invariant_InitializedExactlyOnce() external view {
        _assertNoViolation();
        vm.assertEq(vm.load(_handler().target(), Slots.INITIALIZED), bytes32(uint256(1)), "initialized version");
    }

    /// @dev 4
    function invariant_BareImplementationHasNoOwner() external view {
        _assertNoViolation();
        vm.assertEq(
            vm.load(_bareImplementation(), Slots.INITIALIZED),
            bytes32(uint256(type(uint64).max)),
            "locked initialisers"
        );
        vm.assertEq(OwnableLike(_bareImplementation()).owner(), address(0), "owner of the implementation");
    }

    /// @dev 5
    function invariant_OwnerMovesInTwoStepsOrRenounces() external view {
        _assertNoViolation();
        OwnableLike target = OwnableLike(_handler().target());
        vm.assertEq(target.owner(), _handler().owner(), "owner");
        vm.assertEq(target.pendingOwner(), _handler().pendingOwner(), "pending owner");
    }

    /// @dev 6
    function invariant_GapStaysZero() external view {
        _assertNoViolation();
        (uint256 start, uint256 length) = _gap();
        for (uint256 i = 0; i < length; i++) {
            vm.assertEq(vm.load(_handler().target(), bytes32(start + i)), 0, "gap");
        }
    }

    function _assertNoViolation() internal view {
        vm.assertEq(_handler().violation(), "", "violation");
    }

    function _implementationOf(address proxy) internal view returns (address) {
        return address(uint160(uint256(vm.load(proxy, Slots.IMPLEMENTATION))));
    }
}
