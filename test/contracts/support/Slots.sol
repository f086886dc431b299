// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev The slots of deployed proxies, as literals: the contracts must match these, never the reverse.
library Slots {
    uint256 internal constant APP_ALLOWED_COMPOSE_HASHES = 0;
    /// Byte 0: upgrades disabled. Byte 1: any device allowed.
    uint256 internal constant APP_FLAGS = 1;
    uint256 internal constant APP_ALLOWED_DEVICE_IDS = 2;
    uint256 internal constant APP_REQUIRE_TCB_UP_TO_DATE = 3;
    uint256 internal constant APP_GAP = 4;
    uint256 internal constant APP_GAP_LENGTH = 49;

    uint256 internal constant KMS_K256_PUBKEY = 0;
    uint256 internal constant KMS_CA_PUBKEY = 1;
    uint256 internal constant KMS_QUOTE = 2;
    uint256 internal constant KMS_EVENTLOG = 3;
    uint256 internal constant KMS_GATEWAY_APP_ID = 4;
    uint256 internal constant KMS_REGISTERED_APPS = 5;
    uint256 internal constant KMS_ALLOWED_AGGREGATED_MRS = 6;
    uint256 internal constant KMS_ALLOWED_DEVICE_IDS = 7;
    uint256 internal constant KMS_ALLOWED_OS_IMAGES = 8;
    uint256 internal constant KMS_APP_IMPLEMENTATION = 9;
    uint256 internal constant KMS_GAP = 10;
    uint256 internal constant KMS_GAP_LENGTH = 50;

    // OpenZeppelin 5 keeps the state of each parent in an ERC-7201 namespace.
    bytes32 internal constant OWNER = 0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300;
    bytes32 internal constant PENDING_OWNER = 0x237e158222e3e6968b72b9db0d8043aacf074ad9f650f0d1606b4d82ee432c00;
    /// Bytes 0 to 7: initialized version. Byte 8: initialization in progress.
    bytes32 internal constant INITIALIZED = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;

    // ERC-1967
    bytes32 internal constant IMPLEMENTATION = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;
}
