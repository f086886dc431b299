// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../../../contracts/DstackKms.sol";
import {IAppAuth} from "../../../contracts/interfaces/IAppAuth.sol";
import {FloodingApp} from "../../../contracts/testing/hostile/FloodingApp.sol";
import {GasBurningApp} from "../../../contracts/testing/hostile/GasBurningApp.sol";
import {LyingApp} from "../../../contracts/testing/hostile/LyingApp.sol";
import {RawAnsweringApp} from "../../../contracts/testing/hostile/RawAnsweringApp.sol";
import {ReenteringApp} from "../../../contracts/testing/hostile/ReenteringApp.sol";
import {WritingApp} from "../../../contracts/testing/hostile/WritingApp.sol";
import {Base_Test} from "../support/Base.sol";
import {Defaults} from "../support/Defaults.sol";
import {Slots} from "../support/Slots.sol";

/// @dev Any account can register any address, so a registered app may be malicious. Each test asks the KMS about
/// one app and then checks that only its verdict is affected: no slot of the KMS was written, no event was emitted.
contract DstackKms_HostileApps_Test is Base_Test {
    error AppSpecificError(uint256 code);

    /// @dev Gas that the proxy and the KMS may use before they ask the app.
    uint256 private constant OVERHEAD = 60_000;

    function test_WhenAppLies_OnlyItsOwnVerdictIsFalse() external {
        address liar = address(new LyingApp("trust me"));
        _assertAnswers(liar, true, "trust me");

        (bool isAllowed, ) = kms.isAppAllowed(_bootInfoOf(address(app), Defaults.OTHER_COMPOSE_HASH));
        vm.assertFalse(isAllowed, "an honest neighbour still refuses");
    }

    function test_WhenAppLies_TheKmsRulesStillApply() external {
        address liar = address(new LyingApp(""));
        kms.registerApp(liar);
        IAppAuth.AppBootInfo memory bootInfo = _bootInfoOf(liar, Defaults.COMPOSE_HASH);
        bootInfo.osImageHash = Defaults.OTHER_OS_IMAGE_HASH;

        (bool isAllowed, string memory reason) = kms.isAppAllowed(bootInfo);
        vm.assertFalse(isAllowed, "verdict");
        vm.assertEq(reason, "OS image is not allowed", "reason");
    }

    function test_WhenAppRevertsWithAReason_ItPropagates() external {
        bytes memory revertData = _reason("no");
        _assertFails(address(new RawAnsweringApp(revertData, true)), revertData);
    }

    function test_WhenAppRevertsWithACustomError_ItPropagates() external {
        bytes memory revertData = abi.encodeWithSelector(AppSpecificError.selector, 465);
        _assertFails(address(new RawAnsweringApp(revertData, true)), revertData);
    }

    function test_WhenAppRevertsWithNothing_NothingPropagates() external {
        _assertFails(address(new RawAnsweringApp("", true)), "");
    }

    function testFuzz_WhenAppRevertsWithAnything_ItPropagates(bytes calldata revertData) external {
        _assertFails(address(new RawAnsweringApp(revertData, true)), revertData);
    }

    function test_WhenAppBurnsAllGas_OnlyTheCallFails() external {
        _assertFails(address(new GasBurningApp()), "");
    }

    /// @dev The KMS sets no limit of its own, so an app whose rules need much gas can answer.
    function testFuzz_WhenAppIsAsked_TheKmsPassesOnAllGas(uint256 gas) external {
        gas = _bound(gas, Defaults.VERDICT_GAS, 500_000_000);
        address reporting = address(new GasReportingApp());
        kms.registerApp(reporting);
        bytes memory call = abi.encodeCall(DstackKms.isAppAllowed, (_bootInfoOf(reporting, Defaults.COMPOSE_HASH)));

        (bool ok, bytes memory returned) = address(kms).call{gas: gas}(call);

        vm.assertTrue(ok, "the KMS answers");
        (, string memory reason) = abi.decode(returned, (bool, string));
        uint256 received = abi.decode(bytes(reason), (uint256));
        // The EVM itself keeps back one 64th at each of two calls: the proxy's to its code, and that code's to the app.
        vm.assertLe((gas * 63 * 63) / (64 * 64) - OVERHEAD, received, "as much as the EVM passes on");
    }

    /// @dev What the EVM keeps back is enough to say that the app had too little.
    function test_WhenAppNeedsMoreGasThanThereIs_TheCallFails() external {
        address needy = address(new GasNeedingApp(5_000_000));
        _assertFails(needy, "");
        bytes memory call = abi.encodeCall(DstackKms.isAppAllowed, (_bootInfoOf(needy, Defaults.COMPOSE_HASH)));
        (bool ok, bytes memory returned) = address(kms).call{gas: 6_000_000}(call);
        vm.assertTrue(ok, "with more gas the KMS answers");
        (bool isAllowed, ) = abi.decode(returned, (bool, string));
        vm.assertTrue(isAllowed, "what the app answers");
    }

    function test_WhenAppReturnsNothing() external {
        _assertFails(address(new RawAnsweringApp("", false)), "");
    }

    function test_WhenAppReturnsOnlyABoolean() external {
        _assertFails(address(new RawAnsweringApp(abi.encode(true), false)), "");
    }

    function test_WhenAppReturnsABooleanThatIsNeither() external {
        _assertFails(address(new RawAnsweringApp(abi.encode(uint256(2), "yes"), false)), "");
    }

    function test_WhenAppReturnsAnOffsetBeyondItsAnswer() external {
        _assertFails(address(new RawAnsweringApp(abi.encode(true, uint256(1 << 20)), false)), "");
    }

    function test_WhenAppReturnsALengthBeyondItsAnswer() external {
        _assertFails(address(new RawAnsweringApp(abi.encode(true, uint256(64), uint256(1 << 20)), false)), "");
    }

    /// @dev The compiler's own panic for a length that no memory could hold.
    function test_WhenAppReturnsALengthBeyondMemory() external {
        _assertFails(
            address(new RawAnsweringApp(abi.encode(true, uint256(64), type(uint256).max), false)),
            abi.encodeWithSignature("Panic(uint256)", 0x41)
        );
    }

    function test_WhenAppFloodsTheKmsWithZeros() external {
        // Decodes as (false, ""): an offset of zero points back at the zero word of the verdict.
        _assertAnswers(address(new FloodingApp(100_000)), false, "");
    }

    function test_WhenAppFloodsTheKmsBeyondItsGas() external {
        _assertFails(address(new FloodingApp(10_000_000)), "");
    }

    function test_WhenAppReturnsAVeryLongReason_ItIsForwardedWhole() external {
        string memory long = string(new bytes(10_000));
        _assertAnswers(address(new LyingApp(long)), true, long);
    }

    /// @dev Called by a transaction and not a view: the KMS itself prevents changes.
    function test_WhenAppReentersARegistration_ItIsRefused() external {
        _assertKeptOut(
            address(new ReenteringApp(address(kms), abi.encodeCall(DstackKms.registerApp, (stranger)))),
            _mappingCell(_widen(stranger), Slots.KMS_REGISTERED_APPS)
        );
        vm.assertFalse(kms.registeredApps(stranger), "not registered");
    }

    function test_WhenAppReentersTheFactory_ItIsRefused() external {
        bytes memory reentry = abi.encodeWithSignature(
            "deployAndRegisterApp(address,bool,bool,bytes32,bytes32)",
            stranger,
            false,
            true,
            bytes32(0),
            bytes32(0)
        );
        uint64 nonce = vm.getNonce(address(kms));

        _assertAnswers(address(new ReenteringApp(address(kms), reentry)), false, "was kept out");
        vm.assertEq(vm.getNonce(address(kms)), nonce, "nothing was created");
    }

    /// @dev Even the owner's own contract, registered as an app, cannot act during the call for its verdict.
    function test_WhenOwnerIsTheAppAndReenters_ItIsRefused() external {
        ReenteringApp reentering = new ReenteringApp(
            address(kms),
            abi.encodeCall(DstackKms.removeOsImageHash, (Defaults.OS_IMAGE_HASH))
        );
        vm.prank(owner);
        kms.transferOwnership(address(reentering));
        vm.prank(address(reentering));
        kms.acceptOwnership();

        _assertKeptOut(address(reentering), _mappingCell(Defaults.OS_IMAGE_HASH, Slots.KMS_ALLOWED_OS_IMAGES));
        vm.assertTrue(kms.allowedOsImages(Defaults.OS_IMAGE_HASH), "not removed");
    }

    function test_WhenAppCallsTheKmsBack_ReadingSucceeds() external {
        kms.registerApp(address(app));
        address looping = address(
            new ReenteringApp(
                address(kms),
                abi.encodeCall(DstackKms.isAppAllowed, (_bootInfoOf(address(app), Defaults.COMPOSE_HASH)))
            )
        );
        _assertAnswers(looping, true, "reentered");
    }

    function test_WhenAppWritesItsOwnState_TheCallFails() external {
        WritingApp writing = new WritingApp();
        _assertFails(address(writing), "");
        vm.assertEq(writing.timesAsked(), 0, "nothing was written");
    }

    function test_WhenAppIsAnAccountWithoutCode() external {
        _assertAnswers(stranger, false, "App not deployed or invalid address");
    }

    /// @dev The registration remains when the code is destroyed.
    function test_WhenAppWasDestroyed() external {
        address destroyed = address(new LyingApp(""));
        _assertAnswers(destroyed, true, "");
        vm.etch(destroyed, "");
        _assertAnswers(destroyed, false, "App not deployed or invalid address");
    }

    function test_WhenAppIsTheKmsItself_GasEndsTheLoop() external {
        _assertFails(address(kms), "");
    }

    function _assertAnswers(address appId, bool expected, string memory expectedReason) private {
        (bool ok, bytes memory returned) = _askUntouched(appId);
        vm.assertTrue(ok, "the KMS answers");
        (bool isAllowed, string memory reason) = abi.decode(returned, (bool, string));
        vm.assertEq(isAllowed, expected, "verdict");
        vm.assertEq(reason, expectedReason, "reason");
    }

    function _assertFails(address appId, bytes memory revertData) private {
        (bool ok, bytes memory returned) = _askUntouched(appId);
        vm.assertFalse(ok, "the question fails");
        vm.assertEq(returned, revertData, "revert data");
    }

    /// @dev The recorded writes include the reverted attempt, so this test compares its target slot instead.
    function _assertKeptOut(address reentering, bytes32 slot) private {
        kms.registerApp(reentering);
        bytes32 before = vm.load(address(kms), slot);
        _startRecording();

        (bool ok, bytes memory returned) = _ask(reentering);

        vm.assertTrue(ok, "the KMS answers");
        (bool isAllowed, string memory reason) = abi.decode(returned, (bool, string));
        vm.assertFalse(isAllowed, "verdict");
        vm.assertEq(reason, "was kept out", "reason");
        _assertNoLogs();
        _assertWritesOnly(address(kms), slot);
        vm.assertEq(vm.load(address(kms), slot), before, "the slot it aimed at");
    }

    function _askUntouched(address appId) private returns (bool ok, bytes memory returned) {
        kms.registerApp(appId);
        _startRecording();

        (ok, returned) = _ask(appId);

        _assertNoLogs();
        _assertWritesNothing(address(kms));
    }

    /// @dev An ordinary call with bounded gas, as in a transaction, so that only the KMS can make it static.
    function _ask(address appId) private returns (bool ok, bytes memory returned) {
        bytes memory call = abi.encodeCall(DstackKms.isAppAllowed, (_bootInfoOf(appId, Defaults.COMPOSE_HASH)));
        return address(kms).call{gas: Defaults.VERDICT_GAS}(call);
    }

    function _bootInfoOf(
        address appId,
        bytes32 composeHash
    ) private view returns (IAppAuth.AppBootInfo memory bootInfo) {
        bootInfo = _bootInfo();
        bootInfo.appId = appId;
        bootInfo.composeHash = composeHash;
    }
}

/// @dev Answers with the gas that it got.
contract GasReportingApp {
    function isAppAllowed(IAppAuth.AppBootInfo calldata) external view returns (bool, string memory) {
        return (true, string(abi.encode(gasleft())));
    }
}

/// @dev Allows every machine, after rules that need much gas.
contract GasNeedingApp {
    uint256 private immutable NEEDED;

    constructor(uint256 needed) {
        NEEDED = needed;
    }

    function isAppAllowed(IAppAuth.AppBootInfo calldata) external view returns (bool, string memory) {
        uint256 start = gasleft();
        while (start - gasleft() < NEEDED) {}
        return (true, "");
    }
}
