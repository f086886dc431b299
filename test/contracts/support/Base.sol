// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {DstackKms} from "../../../contracts/DstackKms.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {Defaults} from "./Defaults.sol";
import {Recorder} from "./Recorder.sol";
import {Slots} from "./Slots.sol";

/// @dev One KMS and one app created by its factory, both owned by `owner`, and both allow the default boot
/// information.
abstract contract Base_Test is Recorder {
    address internal owner;
    address internal nextOwner;
    address internal stranger;

    DstackApp internal appImplementation;
    DstackKms internal kmsImplementation;
    DstackApp internal app;
    DstackKms internal kms;

    function setUp() public virtual {
        owner = _actor("owner");
        nextOwner = _actor("next owner");
        stranger = _actor("stranger");

        appImplementation = _newAppImplementation();
        kmsImplementation = new DstackKms();
        kms = _deployKms(address(appImplementation));
        app = DstackApp(
            kms.deployAndRegisterApp(owner, false, false, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH)
        );
        vm.label(address(appImplementation), "app implementation");
        vm.label(address(kmsImplementation), "kms implementation");
        vm.label(address(app), "app");
        vm.label(address(kms), "kms");

        vm.startPrank(owner);
        kms.addOsImageHash(Defaults.OS_IMAGE_HASH);
        kms.addKmsAggregatedMr(Defaults.MR_AGGREGATED);
        kms.addKmsDevice(Defaults.KMS_DEVICE_ID);
        vm.stopPrank();
    }

    /// @dev Tests of extensions run the tests of DstackApp with their own implementation.
    function _newAppImplementation() internal virtual returns (DstackApp) {
        return new DstackApp();
    }

    function _deployKms(address appImplementation_) internal returns (DstackKms) {
        bytes memory initialization = abi.encodeCall(DstackKms.initialize, (owner, appImplementation_));
        return DstackKms(address(new ERC1967Proxy(address(kmsImplementation), initialization)));
    }

    /// @dev A machine that may boot `app`.
    function _bootInfo() internal view returns (IAppAuth.AppBootInfo memory) {
        string[] memory advisoryIds = new string[](1);
        advisoryIds[0] = Defaults.ADVISORY;
        return
            IAppAuth.AppBootInfo({
                appId: address(app),
                composeHash: Defaults.COMPOSE_HASH,
                instanceId: Defaults.INSTANCE_ID,
                deviceId: Defaults.DEVICE_ID,
                mrAggregated: Defaults.MR_AGGREGATED,
                mrSystem: Defaults.MR_SYSTEM,
                osImageHash: Defaults.OS_IMAGE_HASH,
                tcbStatus: Defaults.UP_TO_DATE,
                advisoryIds: advisoryIds
            });
    }

    /// @dev A node that may join `kms`.
    function _kmsBootInfo() internal view returns (IAppAuth.AppBootInfo memory bootInfo) {
        bootInfo = _bootInfo();
        bootInfo.deviceId = Defaults.KMS_DEVICE_ID;
    }

    function _implementationOf(address proxy) internal view returns (address) {
        return address(uint160(uint256(vm.load(proxy, Slots.IMPLEMENTATION))));
    }

    /// @dev Excludes the owner from the random callers, and the cheatcode address, which cannot be a caller.
    function _assumeStranger(address caller) internal view {
        vm.assume(caller != owner && caller != address(vm));
    }
}
