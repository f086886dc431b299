// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {ForeignSlotImplementation} from "../../../../contracts/mocks/upgrades/ForeignSlotImplementation.sol";
import {NotUupsImplementation} from "../../../../contracts/mocks/upgrades/NotUupsImplementation.sol";
import {OwnableLike} from "../OwnableLike.sol";
import {Slots} from "../Slots.sol";
import {Topics} from "../Topics.sol";
import {OwnerOnlyBehaviour} from "./OwnerOnlyBehaviour.sol";

/// @dev The rules of both contracts for an upgrade.
abstract contract UpgradeBehaviour is OwnerOnlyBehaviour {
    /// @dev A freshly deployed implementation that is acceptable.
    function _newImplementation() internal virtual returns (address);

    function _implementation() internal view virtual returns (address);

    function _call(bytes32) internal override {
        UUPSUpgradeable(_target()).upgradeToAndCall(_implementation(), "");
    }

    function test_WhenCallerIsOwner() external {
        address next = _newImplementation();
        _startRecording();

        vm.prank(owner);
        UUPSUpgradeable(_target()).upgradeToAndCall(next, "");

        _assertLogs(
            _logs(
                _policyChanged(_target(), owner, "implementation-upgrade", _widen(next), true),
                _event(_target(), Topics.UPGRADED, next)
            )
        );
        _assertWritesOnly(_target(), Slots.IMPLEMENTATION);
        vm.assertEq(_implementationOf(_target()), next, "implementation");
    }

    function test_WhenRepeated_SucceedsAndEmitsAgain() external {
        address same = _implementation();
        _startRecording();

        vm.prank(owner);
        UUPSUpgradeable(_target()).upgradeToAndCall(same, "");

        _assertLogs(
            _logs(
                _policyChanged(_target(), owner, "implementation-upgrade", _widen(same), true),
                _event(_target(), Topics.UPGRADED, same)
            )
        );
    }

    function test_WhenCalledWithData_TheNewCodeRunsIt() external {
        address next = _newImplementation();

        vm.prank(owner);
        UUPSUpgradeable(_target()).upgradeToAndCall(next, abi.encodeCall(OwnableLike.transferOwnership, (nextOwner)));

        vm.assertEq(OwnableLike(_target()).pendingOwner(), nextOwner, "the call ran as the owner");
    }

    function test_RevertWhen_ImplementationIsNotUups() external {
        address refused = address(new NotUupsImplementation());
        _assertRefused(refused, abi.encodeWithSelector(ERC1967Utils.ERC1967InvalidImplementation.selector, refused));
    }

    function test_RevertWhen_ImplementationNamesAnotherSlot() external {
        ForeignSlotImplementation refused = new ForeignSlotImplementation();
        _assertRefused(
            address(refused),
            abi.encodeWithSelector(UUPSUpgradeable.UUPSUnsupportedProxiableUUID.selector, refused.FOREIGN_SLOT())
        );
    }

    /// @dev Solidity finds no code to call, so the revert has no data.
    function test_RevertWhen_ImplementationHasNoCode() external {
        _assertRefused(stranger, "");
    }

    /// @dev A proxy passes the call to its implementation, which refuses calls through a proxy.
    function test_RevertWhen_ImplementationIsAProxy() external {
        _assertRefused(
            _target(),
            abi.encodeWithSelector(ERC1967Utils.ERC1967InvalidImplementation.selector, _target())
        );
    }

    function test_RevertWhen_ImplementationIsCalledDirectly() external {
        bytes memory call = abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (_implementation(), ""));
        bytes memory revertData = abi.encodePacked(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector);
        _assertReverts(_implementation(), call, revertData, "bare implementation");
    }

    function test_RevertWhen_ProxyIsAskedForItsUuid() external {
        bytes memory revertData = abi.encodePacked(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector);
        _assertReverts(_target(), abi.encodeCall(UUPSUpgradeable.proxiableUUID, ()), revertData, "proxy");
        vm.assertEq(UUPSUpgradeable(_implementation()).proxiableUUID(), Slots.IMPLEMENTATION, "implementation");
    }

    function _assertRefused(address implementation, bytes memory revertData) internal {
        vm.expectRevert(revertData);
        vm.prank(owner);
        UUPSUpgradeable(_target()).upgradeToAndCall(implementation, "");

        vm.assertEq(_implementationOf(_target()), _implementation(), "implementation stays");
    }
}
