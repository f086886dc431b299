// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {ForeignSlotImplementation} from "../../../contracts/mocks/upgrades/ForeignSlotImplementation.sol";
import {NotUupsImplementation} from "../../../contracts/mocks/upgrades/NotUupsImplementation.sol";
import {Defaults} from "../support/Defaults.sol";
import {OwnableLike} from "../support/OwnableLike.sol";
import {Slots} from "../support/Slots.sol";
import {TestBase} from "../support/TestBase.sol";
import {Topics} from "../support/Topics.sol";
import {Vm} from "../support/Vm.sol";

/// @dev Calls one proxy at random, keeps a model of it, and replays its events. README.md has the rules.
abstract contract Handler is TestBase {
    uint256 internal constant VALUES = 4;
    /// @dev The end of the plain variables of both contracts. The gaps behind them have an invariant of their own.
    uint256 private constant PLAIN_SLOTS = 10;
    /// @dev A renouncement makes most later calls fail, so it is rare.
    uint256 private constant RENOUNCE_ONE_IN = 16;

    address public target;
    address[] internal actors;
    /// @dev The first two are acceptable, the others must be refused.
    address[] internal implementations;

    // The model of what both contracts share.
    address public owner;
    address public pendingOwner;
    address public implementation;

    /// @dev The lists of the specific events and of PolicyChanged, by policy.
    mapping(bytes32 policy => mapping(bytes32 value => bool)) public replayed;
    mapping(bytes32 policy => mapping(bytes32 value => bool)) public audited;

    uint256 public callCount;

    /// @dev The first violated rule that the handler saw.
    string public violation;

    /// @param first An implementation the proxy starts with.
    /// @param second Another acceptable implementation.
    constructor(address first, address second) {
        actors = [_actor("first"), _actor("second"), _actor("third"), _actor("fourth")];
        owner = actors[0];
        implementation = first;
        implementations = [first, second, address(new NotUupsImplementation()), actors[3]];
        implementations.push(address(new ForeignSlotImplementation()));
    }

    function transferOwnership(uint256 actorSeed, uint256 candidateSeed) external {
        uint256 choice = candidateSeed % (actors.length + 1);
        address candidate = choice == actors.length ? address(0) : actors[choice];
        if (_sendAsOwner(actorSeed, abi.encodeCall(OwnableLike.transferOwnership, (candidate)))) {
            pendingOwner = candidate;
        }
    }

    function acceptOwnership(uint256 actorSeed) external {
        address actor = actorSeed % 2 == 0 && pendingOwner != address(0) ? pendingOwner : _pick(actorSeed);
        if (_send(actor, abi.encodeCall(OwnableLike.acceptOwnership, ()), actor == pendingOwner)) {
            owner = actor;
            pendingOwner = address(0);
        }
    }

    function renounceOwnership(uint256 actorSeed) external {
        address actor = _pick(actorSeed);
        if (_isOwner(actor) && (actorSeed / 2) % RENOUNCE_ONE_IN != 0) return;
        if (_send(actor, abi.encodeCall(OwnableLike.renounceOwnership, ()), _isOwner(actor))) {
            owner = address(0);
            pendingOwner = address(0);
        }
    }

    function upgrade(uint256 actorSeed, uint256 implementationSeed) external {
        uint256 choice = implementationSeed % implementations.length;
        address actor = _pick(actorSeed);
        bytes memory call = abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (implementations[choice], ""));
        if (_send(actor, call, _isOwner(actor) && choice < 2 && _upgradesAreOpen())) {
            implementation = implementations[choice];
        }
    }

    function value(uint256 seed) public pure returns (bytes32) {
        uint256 choice = seed % VALUES;
        return choice == 0 ? bytes32(0) : keccak256(abi.encode("value", choice));
    }

    /// @dev All raw state in the model, including the lists.
    function digest() public view returns (bytes32 result) {
        for (uint256 slot = 0; slot < PLAIN_SLOTS; slot++) {
            result = keccak256(abi.encode(result, vm.load(target, bytes32(slot))));
        }
        bytes32[] memory cells = _listCells();
        for (uint256 i = 0; i < cells.length; i++) {
            result = keccak256(abi.encode(result, vm.load(target, cells[i])));
        }
        return
            keccak256(
                abi.encode(
                    result,
                    vm.load(target, Slots.OWNER),
                    vm.load(target, Slots.PENDING_OWNER),
                    vm.load(target, Slots.INITIALIZED),
                    vm.load(target, Slots.IMPLEMENTATION)
                )
            );
    }

    function _upgradesAreOpen() internal view virtual returns (bool);

    /// @dev The cells of the owner's lists for every value the handler uses.
    function _listCells() internal view virtual returns (bytes32[] memory);

    /// @dev The policy of a specific event and its new value; zero when the event is not about a list.
    function _readListEvent(bytes32 topic) internal pure virtual returns (bytes32 policy, bool enabled);

    /// @dev Sends as one of the accounts. Returns whether the model adopts the call.
    function _sendAsOwner(uint256 actorSeed, bytes memory call) internal returns (bool) {
        address actor = _pick(actorSeed);
        return _send(actor, call, _isOwner(actor));
    }

    /// @dev A refused call must change nothing.
    function _send(address actor, bytes memory call, bool expected) internal returns (bool) {
        bytes32 before = expected ? bytes32(0) : digest();
        bool ok = _sendRecorded(actor, call);
        if (ok && !expected) _violate("a call succeeded that must be refused");
        if (!ok && expected) _violate("a call was refused that must succeed");
        if (!expected && digest() != before) _violate("a refused call moved something");
        return expected;
    }

    /// @dev Any account may make this call. It must change nothing but the registered apps.
    function _sendOpen(address actor, bytes memory call, bool expected) internal returns (bool) {
        bytes32 before = digest();
        bool ok = _sendRecorded(actor, call);
        if (ok != expected) _violate("an open call ended otherwise than the rules say");
        if (digest() != before) _violate("an open call moved what belongs to the owner");
        return expected;
    }

    function _sendRecorded(address actor, bytes memory call) internal returns (bool ok) {
        callCount++;
        vm.recordLogs();
        vm.prank(actor);
        // Bounded, because a hostile app burns all the gas that it gets.
        (ok, ) = target.call{gas: Defaults.VERDICT_GAS}(call);
        _replay(vm.getRecordedLogs());
    }

    function _replay(Vm.Log[] memory logs) internal {
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].emitter != target) continue;
            if (logs[i].topics[0] == Topics.POLICY_CHANGED) {
                audited[logs[i].topics[2]][logs[i].topics[3]] = abi.decode(logs[i].data, (bool));
            } else {
                (bytes32 policy, bool enabled) = _readListEvent(logs[i].topics[0]);
                if (policy != 0) replayed[policy][abi.decode(logs[i].data, (bytes32))] = enabled;
            }
        }
    }

    /// @dev The owner half of the time, if there is one.
    function _pick(uint256 seed) internal view returns (address) {
        return seed % 2 == 0 && owner != address(0) ? owner : actors[(seed / 2) % actors.length];
    }

    function _isOwner(address actor) internal view returns (bool) {
        return owner != address(0) && actor == owner;
    }

    function _violate(string memory rule) internal {
        if (bytes(violation).length == 0) violation = rule;
    }
}
