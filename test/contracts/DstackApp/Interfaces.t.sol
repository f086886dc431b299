// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {IAppAuthBasicManagement} from "../../../contracts/interfaces/IAppAuthBasicManagement.sol";
import {IDstackApp} from "../../../contracts/interfaces/IDstackApp.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

contract DstackApp_Interfaces_Test is Base_Test {
    function test_WhenAskedForTheIdsItImplements() external view {
        vm.assertTrue(app.supportsInterface(Defaults.APP_AUTH_ID), "IAppAuth");
        vm.assertTrue(app.supportsInterface(Defaults.APP_AUTH_BASIC_MANAGEMENT_ID), "IAppAuthBasicManagement");
        vm.assertTrue(app.supportsInterface(Defaults.ERC165_ID), "ERC-165");
    }

    function testFuzz_WhenAskedForAnyOtherId(bytes4 id) external view {
        vm.assume(
            id != Defaults.APP_AUTH_ID && id != Defaults.APP_AUTH_BASIC_MANAGEMENT_ID && id != Defaults.ERC165_ID
        );
        vm.assertFalse(app.supportsInterface(id), "unknown id");
        vm.assertFalse(app.supportsInterface(Defaults.ERC165_INVALID_ID), "the id ERC-165 reserves for no");
    }

    function test_WhenInterfacesAreCompiled_IdsAreThePublishedOnes() external pure {
        vm.assertEq(bytes32(type(IAppAuth).interfaceId), bytes32(Defaults.APP_AUTH_ID), "IAppAuth");
        vm.assertEq(
            bytes32(type(IAppAuthBasicManagement).interfaceId),
            bytes32(Defaults.APP_AUTH_BASIC_MANAGEMENT_ID),
            "IAppAuthBasicManagement"
        );
    }

    function test_WhenCompiled_SelectorsAreThePublishedOnes() external pure {
        _assertSelector(IAppAuth.isAppAllowed.selector, 0x1e079198);
        _assertSelector(IAppAuthBasicManagement.addComposeHash.selector, 0xdfc77223);
        _assertSelector(IAppAuthBasicManagement.removeComposeHash.selector, 0x67b3f22c);
        _assertSelector(IAppAuthBasicManagement.addDevice.selector, 0x2a819728);
        _assertSelector(IAppAuthBasicManagement.removeDevice.selector, 0x1d266200);
        _assertSelector(IDstackApp.setAllowAnyDevice.selector, 0x7c4beeb8);
        _assertSelector(IDstackApp.setRequireTcbUpToDate.selector, 0x6e4c7422);
        _assertSelector(IDstackApp.disableUpgrades.selector, 0xec669036);
        _assertSelector(IDstackApp.allowedComposeHashes.selector, 0x2f6622e5);
        _assertSelector(IDstackApp.allowedDeviceIds.selector, 0xbf8b211b);
        _assertSelector(IDstackApp.allowAnyDevice.selector, 0x3440a16a);
        _assertSelector(IDstackApp.requireTcbUpToDate.selector, 0x0aa58c83);
        _assertSelector(IDstackApp.version.selector, 0x54fd4d50);
    }

    function test_WhenAskedForVersion() external view {
        vm.assertEq(app.version(), Defaults.APP_VERSION, "version");
    }

    function _assertSelector(bytes4 actual, bytes4 expected) private pure {
        vm.assertEq(bytes32(actual), bytes32(expected), "selector");
    }
}
