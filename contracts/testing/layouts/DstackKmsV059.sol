// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKmsV054} from "./DstackKmsV054.sol";

/// @title A KMS of v0.5.9 to v0.5.11: the slots of v0.5.4, and a factory that knows the TCB flag
/// @dev Can be upgraded to DstackKms.
contract DstackKmsV059 is DstackKmsV054 {
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId) {
        return
            _deployAndRegisterApp(
                initialOwner,
                abi.encodeWithSignature(
                    "initialize(address,bool,bool,bool,bytes32,bytes32)",
                    initialOwner,
                    disableUpgrades,
                    requireTcbUpToDate,
                    allowAnyDevice,
                    initialDeviceId,
                    initialComposeHash
                )
            );
    }
}
