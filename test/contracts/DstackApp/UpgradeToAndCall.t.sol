// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {SeizingImplementation} from "../../../contracts/mocks/upgrades/SeizingImplementation.sol";
import {Slots} from "../support/Slots.sol";
import {UpgradeBehaviour} from "../support/behaviours/UpgradeBehaviour.sol";

contract DstackApp_UpgradeToAndCall_Test is UpgradeBehaviour {
    function _target() internal view override returns (address) {
        return address(app);
    }

    function _implementation() internal view override returns (address) {
        return address(appImplementation);
    }

    function _newImplementation() internal override returns (address) {
        return address(new DstackApp());
    }

    function test_RevertWhen_UpgradesAreDisabled() external {
        _disableUpgrades();
        _assertDisabled(owner);
    }

    /// @dev The address may have no code, or be the app itself or its present code.
    function testFuzz_RevertWhen_UpgradesAreDisabled_ForAnyAddress(address implementation) external {
        _disableUpgrades();
        address[4] memory candidates = [implementation, address(0), address(app), address(appImplementation)];
        for (uint256 i = 0; i < candidates.length; i++) {
            vm.expectRevert(_reason("Upgrades are permanently disabled"));
            vm.prank(owner);
            app.upgradeToAndCall(candidates[i], "");
        }
    }

    function test_RevertWhen_UpgradesWereDisabledAtCreation() external {
        app = DstackApp(kms.deployAndRegisterApp(owner, true, false, true, 0, 0));
        _assertDisabled(owner);
    }

    function test_RevertWhen_UpgradesAreDisabled_EvenForANewOwner() external {
        _disableUpgrades();
        vm.prank(owner);
        app.transferOwnership(nextOwner);
        vm.prank(nextOwner);
        app.acceptOwnership();

        _assertDisabled(nextOwner);
    }

    /// @dev Ownership is checked first, so the error does not reveal the flag to a stranger.
    function test_RevertWhen_UpgradesAreDisabledAndCallerIsAStranger() external {
        _disableUpgrades();
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, stranger));
        vm.prank(stranger);
        app.upgradeToAndCall(address(appImplementation), "");
    }

    /// @dev The flag is tested before the new code is touched, so code that would clear it never runs.
    function test_RevertWhen_UpgradesAreDisabledAndTheNewCodeWouldEnableThem() external {
        _disableUpgrades();
        address seizing = address(new SeizingImplementation());

        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        vm.prank(owner);
        app.upgradeToAndCall(seizing, abi.encodeCall(SeizingImplementation.seize, ()));

        vm.assertEq(vm.load(address(app), bytes32(Slots.APP_FLAGS)), bytes32(uint256(1)), "still disabled");
        _assertDisabled(owner);
    }

    /// @dev Until then the owner's key suffices for an upgrade. Disabled upgrades protect against that.
    function test_WhenUpgradesAreEnabled_NewCodeIsInForce() external {
        address seizing = address(new SeizingImplementation());
        vm.prank(owner);
        app.upgradeToAndCall(seizing, "");

        vm.prank(stranger);
        SeizingImplementation(address(app)).seize();
        SeizingImplementation(address(app)).upgradeToAndCall(address(appImplementation), "");

        vm.assertEq(app.owner(), stranger, "owner");
    }

    /// @dev An upgrade can disable later upgrades.
    function test_WhenUpgradeDisablesUpgrades_ItIsTheLast() external {
        address next = _newImplementation();
        vm.prank(owner);
        app.upgradeToAndCall(next, abi.encodeCall(DstackApp.disableUpgrades, ()));

        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        vm.prank(owner);
        app.upgradeToAndCall(address(appImplementation), "");
        vm.assertEq(_implementationOf(address(app)), next, "implementation");
    }

    function test_RevertWhen_UpgradeInitializesAgain() external {
        vm.expectRevert(abi.encodePacked(Initializable.InvalidInitialization.selector));
        vm.prank(owner);
        app.upgradeToAndCall(
            address(appImplementation),
            abi.encodeWithSignature(
                "initialize(address,bool,bool,bytes32,bytes32)",
                stranger,
                false,
                true,
                bytes32(0),
                bytes32(0)
            )
        );
    }

    function _disableUpgrades() private {
        vm.prank(owner);
        app.disableUpgrades();
    }

    function _assertDisabled(address caller) private {
        address next = _newImplementation();
        vm.expectRevert(_reason("Upgrades are permanently disabled"));
        vm.prank(caller);
        app.upgradeToAndCall(next, "");
        vm.assertEq(_implementationOf(address(app)), address(appImplementation), "implementation stays");
    }
}
