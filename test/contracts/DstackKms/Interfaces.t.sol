// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IDstackKms} from "../../../contracts/interfaces/IDstackKms.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";

contract DstackKms_Interfaces_Test is Base_Test {
    function test_WhenAskedForTheIdsItImplements() external view {
        vm.assertTrue(kms.supportsInterface(Defaults.APP_AUTH_ID), "IAppAuth");
        vm.assertTrue(kms.supportsInterface(Defaults.ERC165_ID), "ERC-165");
    }

    function testFuzz_WhenAskedForAnyOtherId(bytes4 id) external view {
        vm.assume(id != Defaults.APP_AUTH_ID && id != Defaults.ERC165_ID);
        vm.assertFalse(kms.supportsInterface(id), "unknown id");
        vm.assertFalse(kms.supportsInterface(Defaults.ERC165_INVALID_ID), "the id ERC-165 reserves for no");
        vm.assertFalse(kms.supportsInterface(Defaults.APP_AUTH_BASIC_MANAGEMENT_ID), "a KMS manages no app");
    }

    /// @dev The two factory forms are called by literal selector in DeployAndRegisterApp.t.sol.
    function test_WhenCompiled_SelectorsAreThePublishedOnes() external pure {
        _assertSelector(IDstackKms.initialize.selector, 0x485cc955);
        _assertSelector(IDstackKms.setKmsInfo.selector, 0x7d025352);
        _assertSelector(IDstackKms.setKmsQuote.selector, 0x18c1ecb2);
        _assertSelector(IDstackKms.setKmsEventlog.selector, 0x736ede7a);
        _assertSelector(IDstackKms.setGatewayAppId.selector, 0x3971db27);
        _assertSelector(IDstackKms.registerApp.selector, 0x17a1d80f);
        _assertSelector(IDstackKms.setAppImplementation.selector, 0x3ceaaa11);
        _assertSelector(IDstackKms.addKmsAggregatedMr.selector, 0x3e32d346);
        _assertSelector(IDstackKms.removeKmsAggregatedMr.selector, 0x2adee48d);
        _assertSelector(IDstackKms.addKmsDevice.selector, 0x4d5922a1);
        _assertSelector(IDstackKms.removeKmsDevice.selector, 0x9e6f3114);
        _assertSelector(IDstackKms.addOsImageHash.selector, 0x06a3ae96);
        _assertSelector(IDstackKms.removeOsImageHash.selector, 0x9425bac6);
        _assertSelector(IDstackKms.isKmsAllowed.selector, 0xe067ec9d);
        _assertSelector(IDstackKms.kmsInfo.selector, 0x09177063);
        _assertSelector(IDstackKms.gatewayAppId.selector, 0x95f51931);
        _assertSelector(IDstackKms.registeredApps.selector, 0xa6c4cce9);
        _assertSelector(IDstackKms.kmsAllowedAggregatedMrs.selector, 0xf6fe4f40);
        _assertSelector(IDstackKms.kmsAllowedDeviceIds.selector, 0x13eb9770);
        _assertSelector(IDstackKms.allowedOsImages.selector, 0x9a4e1d18);
        _assertSelector(IDstackKms.appImplementation.selector, 0x25a992da);
    }

    function _assertSelector(bytes4 actual, bytes4 expected) private pure {
        vm.assertEq(bytes32(actual), bytes32(expected), "selector");
    }
}
