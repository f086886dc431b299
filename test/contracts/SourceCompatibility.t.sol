// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../contracts/DstackApp.sol";
import {DstackKms} from "../../contracts/DstackKms.sol";
import {IDstackKms} from "../../contracts/interfaces/IDstackKms.sol";
import {Base_Test} from "./support/Base.sol";
import {Defaults} from "./support/Defaults.sol";

bytes4 constant OWN_ID = 0x0d57ac41;

/// @dev Inherits as sources written for the public contract do: overrides `supportsInterface`, calls what is public.
contract DerivedApp is DstackApp {
    function initializeOlder(address initialOwner, bytes32 deviceId, bytes32 composeHash) external {
        initialize(initialOwner, false, false, deviceId, composeHash);
    }

    function initializeNewer(address initialOwner, bytes32 deviceId, bytes32 composeHash) external {
        initialize(initialOwner, false, true, false, deviceId, composeHash);
    }

    function nextVersion() external pure returns (uint256) {
        return version() + 1;
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == OWN_ID || super.supportsInterface(interfaceId);
    }
}

contract DerivedKms is DstackKms {
    function initializeDerived(address initialOwner, address appImplementation_) external {
        initialize(initialOwner, appImplementation_);
    }

    function registerTwo(address first, address second) external {
        registerApp(first);
        registerApp(second);
    }

    function deployTwo(address initialOwner) external returns (address newer, address older) {
        newer = deployAndRegisterApp(initialOwner, false, true, false, 0, Defaults.COMPOSE_HASH);
        older = deployAndRegisterApp(initialOwner, false, false, 0, Defaults.COMPOSE_HASH);
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == OWN_ID || super.supportsInterface(interfaceId);
    }
}

/// @dev Sources that compile against the public contracts compile against ours and mean the same.
contract SourceCompatibility_Test is Base_Test {
    function test_WhenASourceNamesTheStructByTheContract() external {
        DstackKms.KmsInfo memory info = DstackKms.KmsInfo({
            k256Pubkey: Defaults.K256_PUBKEY,
            caPubkey: Defaults.CA_PUBKEY,
            quote: Defaults.QUOTE,
            eventlog: Defaults.EVENTLOG
        });

        vm.prank(owner);
        kms.setKmsInfo(info);

        (bytes memory k256Pubkey, , , ) = kms.kmsInfo();
        vm.assertEq(k256Pubkey, Defaults.K256_PUBKEY, "k256Pubkey");
    }

    function test_WhenTheInterfaceIsCalled() external {
        IDstackKms target = kms;
        vm.prank(owner);
        target.setKmsInfo(DstackKms.KmsInfo("", "", Defaults.QUOTE, ""));

        (, , bytes memory quote, ) = target.kmsInfo();
        vm.assertEq(quote, Defaults.QUOTE, "quote");
    }

    function test_WhenAnAppIsDerived() external {
        address implementation = address(new DerivedApp());
        bytes[2] memory initializations = [
            abi.encodeCall(DerivedApp.initializeOlder, (owner, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH)),
            abi.encodeCall(DerivedApp.initializeNewer, (owner, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH))
        ];
        for (uint256 i = 0; i < initializations.length; i++) {
            DerivedApp derived = DerivedApp(address(new ERC1967Proxy(implementation, initializations[i])));

            vm.assertEq(derived.owner(), owner, "owner");
            vm.assertEq(derived.requireTcbUpToDate(), i == 1, "TCB");
            vm.assertTrue(derived.allowedDeviceIds(Defaults.DEVICE_ID), "device");
            vm.assertTrue(derived.allowedComposeHashes(Defaults.COMPOSE_HASH), "hash");
            vm.assertEq(derived.nextVersion(), Defaults.APP_VERSION + 1, "version");
            vm.assertTrue(derived.supportsInterface(OWN_ID), "own id");
            vm.assertTrue(derived.supportsInterface(Defaults.APP_AUTH_BASIC_MANAGEMENT_ID), "inherited id");
        }
    }

    function test_WhenAKmsIsDerived() external {
        bytes memory initialization = abi.encodeCall(DerivedKms.initializeDerived, (owner, address(appImplementation)));
        DerivedKms derived = DerivedKms(address(new ERC1967Proxy(address(new DerivedKms()), initialization)));
        derived.registerTwo(stranger, nextOwner);
        (address newer, address older) = derived.deployTwo(owner);

        vm.assertEq(derived.owner(), owner, "owner");
        vm.assertTrue(derived.registeredApps(stranger) && derived.registeredApps(nextOwner), "registered");
        vm.assertTrue(derived.registeredApps(newer) && derived.registeredApps(older), "created");
        vm.assertTrue(DstackApp(newer).requireTcbUpToDate(), "newer form");
        vm.assertFalse(DstackApp(older).requireTcbUpToDate(), "older form");
        vm.assertTrue(derived.supportsInterface(OWN_ID), "own id");
        vm.assertTrue(derived.supportsInterface(Defaults.APP_AUTH_ID), "inherited id");
    }
}
