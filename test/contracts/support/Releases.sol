// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {DstackAppV054} from "../../../contracts/testing/layouts/DstackAppV054.sol";
import {DstackAppV059} from "../../../contracts/testing/layouts/DstackAppV059.sol";
import {DstackKmsV054} from "../../../contracts/testing/layouts/DstackKmsV054.sol";
import {DstackKmsV059} from "../../../contracts/testing/layouts/DstackKmsV059.sol";
import {Defaults} from "./Defaults.sol";

/// @dev Deploys as v0.5.4 to v0.5.8 did.
library ReleaseV054 {
    function deployKms(address owner) internal returns (address kms, address appImplementation) {
        appImplementation = address(new DstackAppV054());
        bytes memory initialization = abi.encodeCall(DstackKmsV054.initialize, (owner, appImplementation));
        kms = address(new ERC1967Proxy(address(new DstackKmsV054()), initialization));
    }

    /// @dev An app with the default device and hash.
    function createApp(address kms, address owner) internal returns (address) {
        return DstackKmsV054(kms).deployAndRegisterApp(owner, false, false, Defaults.DEVICE_ID, Defaults.COMPOSE_HASH);
    }
}

/// @dev Deploys as v0.5.9 to v0.5.11 did.
library ReleaseV059 {
    function deployKms(address owner) internal returns (address kms, address appImplementation) {
        appImplementation = address(new DstackAppV059());
        bytes memory initialization = abi.encodeCall(DstackKmsV054.initialize, (owner, appImplementation));
        kms = address(new ERC1967Proxy(address(new DstackKmsV059()), initialization));
    }

    /// @dev An app with the default device and hash.
    function createApp(address kms, address owner) internal returns (address) {
        return
            DstackKmsV059(kms).deployAndRegisterApp(
                owner,
                false,
                false,
                false,
                Defaults.DEVICE_ID,
                Defaults.COMPOSE_HASH
            );
    }
}
