// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1822Proxiable} from "@openzeppelin/contracts/interfaces/draft-IERC1822.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";

/// @dev An implementation that allows given values without an event. After an upgrade to it and back, the app
/// looks as before and allows one more hash or device.
contract HidingImplementation is IERC1822Proxiable {
    mapping(bytes32 composeHash => bool) public allowedComposeHashes;
    uint256 private _flags;
    mapping(bytes32 deviceId => bool) public allowedDeviceIds;

    function hideComposeHash(bytes32 composeHash) external {
        allowedComposeHashes[composeHash] = true;
    }

    function hideDevice(bytes32 deviceId) external {
        allowedDeviceIds[deviceId] = true;
    }

    function upgradeToAndCall(address implementation, bytes calldata data) external payable {
        ERC1967Utils.upgradeToAndCall(implementation, data);
    }

    function proxiableUUID() external pure returns (bytes32) {
        return ERC1967Utils.IMPLEMENTATION_SLOT;
    }
}
