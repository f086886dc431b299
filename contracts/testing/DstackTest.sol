// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../DstackApp.sol";
import {DstackKms} from "../DstackKms.sol";
import {IAppAuth} from "../interfaces/IAppAuth.sol";
import {IDstackApp} from "../interfaces/IDstackApp.sol";
import {DstackDefaults} from "./DstackDefaults.sol";

/// @dev The cheatcodes used below. Hardhat's runner and forge answer them at the same address.
interface IDstackCheatcodes {
    function prank(address sender) external;
    function assertTrue(bool condition, string calldata message) external pure;
    function assertFalse(bool condition, string calldata message) external pure;
    function assertEq(string calldata actual, string calldata expected, string calldata message) external pure;
}

/// @title Base of Solidity tests that need a KMS and apps
/// @notice Deploys both as production does, builds boot information, and states boot verdicts.
/// @dev Needs no library. It has no `setUp`, no state and no `vm`, so it goes together with forge-std:
/// `contract MyTest is Test, DstackTest`. The functions that deploy act as the owner for one call each and therefore
/// cannot run inside `startPrank`.
abstract contract DstackTest {
    IDstackCheatcodes private constant _CHEATCODES = IDstackCheatcodes(
        address(uint160(uint256(keccak256("hevm cheat code"))))
    );

    /// @dev A KMS behind its proxy, with an app implementation for its factory and the default OS image allowed.
    function _deployDstackKms(address owner) internal returns (DstackKms kms) {
        bytes memory initialization = abi.encodeCall(DstackKms.initialize, (owner, address(new DstackApp())));
        kms = DstackKms(address(new ERC1967Proxy(address(new DstackKms()), initialization)));
        _CHEATCODES.prank(owner);
        kms.addOsImageHash(DstackDefaults.OS_IMAGE_HASH);
    }

    /// @dev An app from the factory of `kms`, so that `_bootInfoOf(app)` may boot.
    function _deployDstackApp(DstackKms kms, address owner) internal returns (DstackApp) {
        return
            DstackApp(
                kms.deployAndRegisterApp(
                    owner,
                    false,
                    false,
                    false,
                    DstackDefaults.DEVICE_ID,
                    DstackDefaults.COMPOSE_HASH
                )
            );
    }

    /// @dev What a patched machine reports that runs the default compose hash on the default device. Change the fields
    /// the test is about.
    function _bootInfoOf(address appId) internal pure returns (IAppAuth.AppBootInfo memory) {
        return _bootInfoOf(appId, DstackDefaults.COMPOSE_HASH, DstackDefaults.DEVICE_ID);
    }

    function _bootInfoOf(
        address appId,
        bytes32 composeHash,
        bytes32 deviceId
    ) internal pure returns (IAppAuth.AppBootInfo memory) {
        return
            IAppAuth.AppBootInfo({
                appId: appId,
                composeHash: composeHash,
                instanceId: DstackDefaults.INSTANCE_ID,
                deviceId: deviceId,
                mrAggregated: DstackDefaults.MR_AGGREGATED,
                mrSystem: DstackDefaults.MR_SYSTEM,
                osImageHash: DstackDefaults.OS_IMAGE_HASH,
                tcbStatus: DstackDefaults.TCB_STATUS,
                advisoryIds: new string[](0)
            });
    }

    /// @param authority The KMS, which looks at registration and OS image too; or an app, for its own rules alone.
    function _assertBoots(IAppAuth authority, IAppAuth.AppBootInfo memory bootInfo) internal view {
        (bool isAllowed, string memory reason) = authority.isAppAllowed(bootInfo);
        _CHEATCODES.assertTrue(isAllowed, string.concat("expected the boot to be allowed, but: ", reason));
        _CHEATCODES.assertEq(reason, "", "an allowed boot has no reason");
    }

    /// @param expectedReason In the contract's own words, compared whole.
    function _assertRefusesBoot(
        IAppAuth authority,
        IAppAuth.AppBootInfo memory bootInfo,
        string memory expectedReason
    ) internal view {
        (bool isAllowed, string memory reason) = authority.isAppAllowed(bootInfo);
        _CHEATCODES.assertFalse(isAllowed, string.concat("expected the boot to be refused: ", expectedReason));
        _CHEATCODES.assertEq(reason, expectedReason, "the boot is refused for another reason");
    }

    function _assertAllowsComposeHash(IDstackApp app, bytes32 composeHash) internal view {
        _CHEATCODES.assertTrue(app.allowedComposeHashes(composeHash), "expected the compose hash to be allowed");
    }

    function _assertRefusesComposeHash(IDstackApp app, bytes32 composeHash) internal view {
        _CHEATCODES.assertFalse(app.allowedComposeHashes(composeHash), "expected the compose hash not to be allowed");
    }

    /// @dev Whether the device may boot, listed or because any may.
    function _assertAllowsDevice(IDstackApp app, bytes32 deviceId) internal view {
        _CHEATCODES.assertTrue(
            app.allowAnyDevice() || app.allowedDeviceIds(deviceId),
            "expected the device to be allowed"
        );
    }

    function _assertRefusesDevice(IDstackApp app, bytes32 deviceId) internal view {
        _CHEATCODES.assertFalse(app.allowAnyDevice(), "expected the device to be refused, but any device is allowed");
        _CHEATCODES.assertFalse(app.allowedDeviceIds(deviceId), "expected the device to be refused");
    }
}
