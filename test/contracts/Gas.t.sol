// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../contracts/DstackApp.sol";
import {DstackKms} from "../../contracts/DstackKms.sol";
import {MeteredProxy} from "../../contracts/mocks/MeteredProxy.sol";
import {Base_Test} from "./support/Base.sol";
import {Defaults} from "./support/Defaults.sol";

/// @dev Holds execution gas at or below the public implementation's. The figures are what it spends behind the
/// delegatecall of its proxy under the same compiler and settings, starting from cold storage; its deployment
/// transactions are compared in test/ts/integration/contracts/deployment-gas.test.ts.
contract Gas_Test is Base_Test {
    DstackApp private strictApp;

    function setUp() public override {
        super.setUp();
        strictApp = DstackApp(
            kms.deployAndRegisterApp(owner, false, true, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH)
        );
        bytes memory meter = type(MeteredProxy).runtimeCode;
        vm.etch(address(app), meter);
        vm.etch(address(strictApp), meter);
        vm.etch(address(kms), meter);
    }

    function test_AddComposeHash() external {
        _assertSpends(address(app), abi.encodeCall(app.addComposeHash, (Defaults.OTHER_COMPOSE_HASH)), 28_151);
    }

    function test_RemoveComposeHash() external {
        _assertSpends(address(app), abi.encodeCall(app.removeComposeHash, (Defaults.COMPOSE_HASH)), 11_093);
    }

    function test_AddDevice() external {
        _assertSpends(address(app), abi.encodeCall(app.addDevice, (Defaults.OTHER_DEVICE_ID)), 28_216);
    }

    function test_RemoveDevice() external {
        _assertSpends(address(app), abi.encodeCall(app.removeDevice, (Defaults.DEVICE_ID)), 11_065);
    }

    function test_SetAllowAnyDevice() external {
        _assertSpends(address(app), abi.encodeCall(app.setAllowAnyDevice, (true)), 28_201);
    }

    function test_SetRequireTcbUpToDate() external {
        _assertSpends(address(app), abi.encodeCall(app.setRequireTcbUpToDate, (true)), 28_106);
    }

    function test_DisableUpgrades() external {
        _assertSpends(address(app), abi.encodeCall(app.disableUpgrades, ()), 27_747);
    }

    function test_AppIsAppAllowed_WhenDeviceIsChecked() external {
        _assertSpends(address(app), abi.encodeCall(app.isAppAllowed, (_bootInfo())), 9_432);
    }

    function test_AppIsAppAllowed_WhenTcbIsCheckedToo() external {
        _assertSpends(address(strictApp), abi.encodeCall(app.isAppAllowed, (_bootInfo())), 9_934);
    }

    function test_DeployAndRegisterApp() external {
        bytes memory call = abi.encodeWithSignature(
            "deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)",
            owner,
            false,
            false,
            false,
            Defaults.DEVICE_ID,
            Defaults.COMPOSE_HASH
        );
        _assertSpends(address(kms), call, 230_556);
    }

    function test_DeployAndRegisterApp_OlderForm() external {
        bytes memory call = abi.encodeWithSignature(
            "deployAndRegisterApp(address,bool,bool,bytes32,bytes32)",
            owner,
            false,
            false,
            Defaults.DEVICE_ID,
            Defaults.COMPOSE_HASH
        );
        _assertSpends(address(kms), call, 230_556);
    }

    function test_RegisterApp() external {
        _assertSpends(address(kms), abi.encodeCall(kms.registerApp, (stranger)), 26_053);
    }

    function test_AddKmsAggregatedMr() external {
        _assertSpends(address(kms), abi.encodeCall(kms.addKmsAggregatedMr, (Defaults.OTHER_MR_AGGREGATED)), 28_194);
    }

    function test_AddKmsDevice() external {
        _assertSpends(address(kms), abi.encodeCall(kms.addKmsDevice, (Defaults.OTHER_KMS_DEVICE_ID)), 28_149);
    }

    function test_AddOsImageHash() external {
        _assertSpends(address(kms), abi.encodeCall(kms.addOsImageHash, (Defaults.OTHER_OS_IMAGE_HASH)), 28_151);
    }

    function test_RemoveKmsAggregatedMr() external {
        _assertSpends(address(kms), abi.encodeCall(kms.removeKmsAggregatedMr, (Defaults.MR_AGGREGATED)), 11_021);
    }

    function test_RemoveKmsDevice() external {
        _assertSpends(address(kms), abi.encodeCall(kms.removeKmsDevice, (Defaults.KMS_DEVICE_ID)), 11_064);
    }

    function test_RemoveOsImageHash() external {
        _assertSpends(address(kms), abi.encodeCall(kms.removeOsImageHash, (Defaults.OS_IMAGE_HASH)), 11_064);
    }

    function test_IsKmsAllowed() external {
        _assertSpends(address(kms), abi.encodeCall(kms.isKmsAllowed, (_kmsBootInfo())), 7_830);
    }

    function test_RuntimeSize() external {
        vm.assertLe(address(new DstackApp()).code.length, 6_283, "DstackApp");
        vm.assertLe(address(new DstackKms()).code.length, 11_001, "DstackKms");
    }

    function _assertSpends(address metered, bytes memory call, uint256 limit) private {
        vm.prank(owner);
        (bool ok, bytes memory answer) = metered.call(call);
        vm.assertTrue(ok, "the call succeeds");
        uint256 spent = abi.decode(answer, (uint256));
        vm.assertLe(spent, limit, "execution gas");
        // Far below the limit something else was measured: a cheap path, or warm storage.
        vm.assertLe(limit - limit / 10, spent, "plausible gas");
    }
}
