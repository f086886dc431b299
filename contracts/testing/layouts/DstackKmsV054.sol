// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {IAppAuth} from "../../interfaces/IAppAuth.sol";
import {OneStepKmsIdentity, OneStepKmsLists} from "./OneStepKms.sol";

/// @dev Slot 5: the id of an app is the address of its contract.
abstract contract RegisteredApps is OneStepKmsIdentity {
    mapping(address appId => bool) public registeredApps;
}

/// @title A KMS in the layout of kms-v0.5.3 and v0.5.4 to v0.5.11
/// @dev Can be upgraded to DstackKms, whose slots are the same. This is the factory up to v0.5.8.
contract DstackKmsV054 is RegisteredApps, OneStepKmsLists {
    event AppImplementationSet(address implementation);
    event AppDeployedViaFactory(address indexed appId, address indexed deployer);

    address public appImplementation;
    uint256[50] private __gap;

    function initialize(address initialOwner, address appImplementation_) external initializer {
        __Ownable_init(initialOwner);
        if (appImplementation_ != address(0)) _setAppImplementation(appImplementation_);
    }

    function setAppImplementation(address implementation) external onlyOwner {
        require(implementation != address(0), "Invalid implementation address");
        _setAppImplementation(implementation);
    }

    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId) {
        return
            _deployAndRegisterApp(
                initialOwner,
                abi.encodeWithSignature(
                    "initialize(address,bool,bool,bytes32,bytes32)",
                    initialOwner,
                    disableUpgrades,
                    allowAnyDevice,
                    initialDeviceId,
                    initialComposeHash
                )
            );
    }

    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        if (!registeredApps[bootInfo.appId]) return (false, "App not registered");
        if (!allowedOsImages[bootInfo.osImageHash]) return (false, "OS image is not allowed");
        if (bootInfo.appId.code.length == 0) return (false, "App not deployed or invalid address");
        return IAppAuth(bootInfo.appId).isAppAllowed(bootInfo);
    }

    function registerApp(address appId) public {
        require(appId != address(0), "Invalid app ID");
        registeredApps[appId] = true;
        emit AppRegistered(appId);
    }

    function _deployAndRegisterApp(address initialOwner, bytes memory initialization) internal returns (address appId) {
        require(appImplementation != address(0), "DstackApp implementation not set");
        require(initialOwner != address(0), "Invalid owner address");
        appId = address(new ERC1967Proxy(appImplementation, initialization));
        registerApp(appId);
        emit AppDeployedViaFactory(appId, msg.sender);
    }

    function _setAppImplementation(address implementation) private {
        appImplementation = implementation;
        emit AppImplementationSet(implementation);
    }
}
