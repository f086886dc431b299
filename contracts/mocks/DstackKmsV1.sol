// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";

/// @dev A KMS as it was laid out before two-step ownership and the factory: what upgrades start from.
contract DstackKmsV1 is OwnableUpgradeable, UUPSUpgradeable {
    struct KmsInfo {
        bytes k256Pubkey;
        bytes caPubkey;
        bytes quote;
        bytes eventlog;
    }

    KmsInfo public kmsInfo;
    string public tproxyAppId;
    mapping(address appId => bool) public registeredApps;
    mapping(bytes32 mrAggregated => bool) public kmsAllowedAggregatedMrs;
    mapping(bytes32 deviceId => bool) public kmsAllowedDeviceIds;
    mapping(bytes32 osImageHash => bool) public allowedOsImages;
    uint256[50] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    function initialize(address initialOwner) external initializer {
        __Ownable_init(initialOwner);
    }

    function setKmsInfo(KmsInfo calldata info) external onlyOwner {
        kmsInfo = info;
    }

    function setTproxyAppId(string calldata appId) external onlyOwner {
        tproxyAppId = appId;
    }

    function registerApp(address appId) external {
        registeredApps[appId] = true;
    }

    function allow(bytes32 mrAggregated, bytes32 deviceId, bytes32 osImageHash) external onlyOwner {
        kmsAllowedAggregatedMrs[mrAggregated] = true;
        kmsAllowedDeviceIds[deviceId] = true;
        allowedOsImages[osImageHash] = true;
    }

    function _authorizeUpgrade(address) internal view override onlyOwner {}
}
