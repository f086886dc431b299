// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {IAppAuth} from "../../interfaces/IAppAuth.sol";
import {AppAuthV042} from "./AppAuthV042.sol";
import {OneStepKmsIdentity, OneStepKmsLists} from "./OneStepKms.sol";

/// @dev Slot 5: the registered id is a number, stored with the contract that answers for it.
abstract contract AppControllers is OneStepKmsIdentity {
    struct AppConfig {
        bool isRegistered;
        address controller;
    }

    mapping(address appId => AppConfig) public apps;
}

/// @title A KMS in the layout of v0.4.2 and v0.5.0 to v0.5.3, where it was called KmsAuth
/// @dev Upgraded to DstackKms it keeps its identity and its three lists. It loses the app implementation, which lies
/// one slot later than DstackKms looks, and every app: their ids stay registered, but no contract stands at them. The
/// first releases of this row lack the factory; their slot 10 is the first of the gap.
contract KmsAuthV042 is AppControllers, OneStepKmsLists {
    event AppAuthImplementationSet(address implementation);
    event AppDeployedViaFactory(address indexed appId, address indexed proxyAddress, address indexed deployer);

    mapping(address caller => uint256) public nextAppSequence;
    address public appAuthImplementation;
    uint256[50] private __gap;

    function initialize(address initialOwner, address appAuthImplementation_) external initializer {
        __Ownable_init(initialOwner);
        if (appAuthImplementation_ != address(0)) _setAppAuthImplementation(appAuthImplementation_);
    }

    function setAppAuthImplementation(address implementation) external onlyOwner {
        require(implementation != address(0), "Invalid implementation address");
        _setAppAuthImplementation(implementation);
    }

    function registerApp(address controller) external {
        require(controller != address(0), "Invalid controller address");
        _registerApp(nextAppId(), controller);
    }

    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId, address proxyAddress) {
        require(appAuthImplementation != address(0), "AppAuth implementation not set");
        require(initialOwner != address(0), "Invalid owner address");
        appId = nextAppId();
        bytes memory initialization = abi.encodeCall(
            AppAuthV042.initialize,
            (initialOwner, appId, disableUpgrades, allowAnyDevice, initialDeviceId, initialComposeHash)
        );
        proxyAddress = address(new ERC1967Proxy(appAuthImplementation, initialization));
        _registerApp(appId, proxyAddress);
        emit AppDeployedViaFactory(appId, proxyAddress, msg.sender);
    }

    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        AppConfig memory app = apps[bootInfo.appId];
        if (!app.isRegistered) return (false, "App not registered");
        if (!allowedOsImages[bootInfo.osImageHash]) return (false, "OS image is not allowed");
        if (app.controller == address(0)) return (false, "App controller not set");
        return IAppAuth(app.controller).isAppAllowed(bootInfo);
    }

    function nextAppId() public view returns (address) {
        bytes32 hash = keccak256(abi.encodePacked(address(this), msg.sender, nextAppSequence[msg.sender]));
        return address(uint160(uint256(hash)));
    }

    function _registerApp(address appId, address controller) private {
        require(!apps[appId].isRegistered, "App already registered");
        apps[appId] = AppConfig(true, controller);
        nextAppSequence[msg.sender]++;
        emit AppRegistered(appId);
    }

    function _setAppAuthImplementation(address implementation) private {
        appAuthImplementation = implementation;
        emit AppAuthImplementationSet(implementation);
    }
}
