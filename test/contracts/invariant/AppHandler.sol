// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackApp} from "../../../contracts/DstackApp.sol";
import {PolicyLabels} from "../../../contracts/libraries/PolicyLabels.sol";
import {Slots} from "../support/Slots.sol";
import {Topics} from "../support/Topics.sol";
import {Handler} from "./Handler.sol";

contract AppHandler is Handler {
    DstackApp public app;

    // The model.
    mapping(bytes32 composeHash => bool) public composeHashes;
    mapping(bytes32 deviceId => bool) public devices;
    bool public anyDevice;
    bool public tcbRequired;
    bool public upgradesDisabled;
    address public implementationWhenDisabled;

    constructor() Handler(address(new DstackApp()), address(new DstackApp())) {
        bytes memory initialization = abi.encodeWithSignature(
            "initialize(address,bool,bool,bool,bytes32,bytes32)",
            owner,
            false,
            false,
            false,
            value(1),
            value(2)
        );
        vm.recordLogs();
        target = address(new ERC1967Proxy(implementation, initialization));
        app = DstackApp(target);
        _replay(vm.getRecordedLogs());
        devices[value(1)] = true;
        composeHashes[value(2)] = true;
    }

    function addComposeHash(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 composeHash = value(valueSeed);
        if (_sendAddition(actorSeed, composeHash, abi.encodeCall(app.addComposeHash, (composeHash)))) {
            composeHashes[composeHash] = true;
        }
    }

    function removeComposeHash(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 composeHash = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(app.removeComposeHash, (composeHash)))) {
            composeHashes[composeHash] = false;
        }
    }

    function addDevice(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 deviceId = value(valueSeed);
        if (_sendAddition(actorSeed, deviceId, abi.encodeCall(app.addDevice, (deviceId)))) devices[deviceId] = true;
    }

    function removeDevice(uint256 actorSeed, uint256 valueSeed) external {
        bytes32 deviceId = value(valueSeed);
        if (_sendAsOwner(actorSeed, abi.encodeCall(app.removeDevice, (deviceId)))) devices[deviceId] = false;
    }

    function setAllowAnyDevice(uint256 actorSeed, bool on) external {
        if (_sendAsOwner(actorSeed, abi.encodeCall(app.setAllowAnyDevice, (on)))) anyDevice = on;
    }

    function setRequireTcbUpToDate(uint256 actorSeed, bool on) external {
        if (_sendAsOwner(actorSeed, abi.encodeCall(app.setRequireTcbUpToDate, (on)))) tcbRequired = on;
    }

    function disableUpgrades(uint256 actorSeed) external {
        if (_sendAsOwner(actorSeed, abi.encodeCall(app.disableUpgrades, ()))) {
            if (!upgradesDisabled) implementationWhenDisabled = implementation;
            upgradesDisabled = true;
        }
    }

    function initialize(uint256 actorSeed, bool olderForm, bool flag, uint256 valueSeed) external {
        address actor = _pick(actorSeed);
        bytes memory call =
            olderForm
                ? abi.encodeWithSignature(
                    "initialize(address,bool,bool,bytes32,bytes32)",
                    actor,
                    false,
                    flag,
                    value(valueSeed),
                    value(valueSeed)
                )
                : abi.encodeWithSignature(
                    "initialize(address,bool,bool,bool,bytes32,bytes32)",
                    actor,
                    false,
                    flag,
                    !flag,
                    value(valueSeed),
                    value(valueSeed)
                );
        _send(actor, call, false);
    }

    function selectors() external pure returns (bytes4[] memory list) {
        list = new bytes4[](12);
        list[0] = this.addComposeHash.selector;
        list[1] = this.removeComposeHash.selector;
        list[2] = this.addDevice.selector;
        list[3] = this.removeDevice.selector;
        list[4] = this.setAllowAnyDevice.selector;
        list[5] = this.setRequireTcbUpToDate.selector;
        list[6] = this.disableUpgrades.selector;
        list[7] = this.initialize.selector;
        list[8] = this.transferOwnership.selector;
        list[9] = this.acceptOwnership.selector;
        list[10] = this.renounceOwnership.selector;
        list[11] = this.upgrade.selector;
    }

    /// @dev Zero, which is among the values, must be refused from every caller.
    function _sendAddition(uint256 actorSeed, bytes32 added, bytes memory call) private returns (bool) {
        address actor = _pick(actorSeed);
        return _send(actor, call, _isOwner(actor) && added != 0);
    }

    function _upgradesAreOpen() internal view override returns (bool) {
        return !upgradesDisabled;
    }

    function _listCells() internal pure override returns (bytes32[] memory cells) {
        cells = new bytes32[](2 * VALUES);
        for (uint256 i = 0; i < VALUES; i++) {
            cells[2 * i] = _mappingCell(value(i), Slots.APP_ALLOWED_COMPOSE_HASHES);
            cells[2 * i + 1] = _mappingCell(value(i), Slots.APP_ALLOWED_DEVICE_IDS);
        }
    }

    function _readListEvent(bytes32 topic) internal pure override returns (bytes32 policy, bool enabled) {
        if (topic == Topics.COMPOSE_HASH_ADDED) return (PolicyLabels.COMPOSE_HASH, true);
        if (topic == Topics.COMPOSE_HASH_REMOVED) return (PolicyLabels.COMPOSE_HASH, false);
        if (topic == Topics.DEVICE_ADDED) return (PolicyLabels.DEVICE, true);
        if (topic == Topics.DEVICE_REMOVED) return (PolicyLabels.DEVICE, false);
    }
}
