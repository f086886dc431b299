// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {MeteredProxy} from "../../../contracts/mocks/MeteredProxy.sol";
import {BatchApp} from "../../../contracts/presets/BatchApp.sol";
import {EnumerableApp} from "../../../contracts/presets/EnumerableApp.sol";
import {ExtendedDstackApp} from "../../../contracts/presets/ExtendedDstackApp.sol";
import {NoticePeriodApp} from "../../../contracts/presets/NoticePeriodApp.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

/// @dev Execution gas behind the delegatecall of the proxy, from cold storage, as in ../Gas.t.sol. docs/extensions.md has
/// the figures.
contract ExtensionsGas_Test is Base_Test {
    /// @dev The same measurement without an extension.
    function test_DstackApp() external {
        _assertCosts(address(new DstackApp()), [uint256(25_609), 11_030, 9_400, 6_283]);
    }

    function test_BatchApp() external {
        _assertCosts(address(new BatchApp()), [uint256(25_654), 11_008, 9_356, 7_303]);
    }

    function test_EnumerableApp() external {
        _assertCosts(address(new EnumerableApp()), [uint256(92_639), 13_326, 9_390, 8_878]);
    }

    /// @dev Without a notice period, and with one: the proposal and the activation.
    function test_NoticePeriodApp() external {
        _assertCosts(address(new NoticePeriodApp()), [uint256(34_963), 13_456, 9_378, 10_191]);

        NoticePeriodApp notice = NoticePeriodApp(address(app));
        _spend(abi.encodeCall(notice.setNoticeSettings, (1 days, address(0))));
        _cool();
        bytes32 third = keccak256("third");
        vm.assertLe(_spend(abi.encodeCall(app.addComposeHash, (third))), 100_230, "proposal");
        vm.warp(block.timestamp + 1 days);
        _cool();
        vm.assertLe(_spend(abi.encodeCall(notice.activateComposeHash, (third))), 49_851, "activation");
    }

    function test_ExtendedDstackApp() external {
        _assertCosts(address(new ExtendedDstackApp()), [uint256(102_077), 15_889, 9_390, 13_498]);
    }

    /// @param limits Of an addition, a removal, a verdict, and the bytes of the runtime code.
    function _assertCosts(address implementation, uint256[4] memory limits) private {
        vm.prank(owner);
        app.upgradeToAndCall(implementation, "");
        vm.etch(address(app), type(MeteredProxy).runtimeCode);
        _cool();
        vm.assertLe(_spend(abi.encodeCall(app.addComposeHash, (Defaults.OTHER_COMPOSE_HASH))), limits[0], "addition");
        _cool();
        vm.assertLe(_spend(abi.encodeCall(app.isAppAllowed, (_bootInfo()))), limits[2], "verdict");
        _cool();
        vm.assertLe(_spend(abi.encodeCall(app.removeComposeHash, (Defaults.COMPOSE_HASH))), limits[1], "removal");
        vm.assertLe(implementation.code.length, limits[3], "size");
    }

    function _cool() private {
        vm.cool(address(app));
    }

    function _spend(bytes memory call) private returns (uint256) {
        vm.prank(owner);
        (bool ok, bytes memory answer) = address(app).call(call);
        vm.assertTrue(ok, "the call succeeds");
        return abi.decode(answer, (uint256));
    }
}
