// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Values of the tests without a meaning of their own.
library Defaults {
    bytes32 internal constant COMPOSE_HASH = keccak256("first version of the app");
    bytes32 internal constant OTHER_COMPOSE_HASH = keccak256("second version of the app");
    bytes32 internal constant DEVICE_ID = keccak256("first machine");
    bytes32 internal constant OTHER_DEVICE_ID = keccak256("second machine");
    bytes32 internal constant OS_IMAGE_HASH = keccak256("guest image");
    bytes32 internal constant OTHER_OS_IMAGE_HASH = keccak256("another guest image");
    bytes32 internal constant MR_AGGREGATED = keccak256("measurements of a KMS node");
    bytes32 internal constant OTHER_MR_AGGREGATED = keccak256("measurements of another KMS node");
    bytes32 internal constant KMS_DEVICE_ID = keccak256("machine of the KMS");
    bytes32 internal constant OTHER_KMS_DEVICE_ID = keccak256("another machine of the KMS");
    bytes32 internal constant MR_SYSTEM = keccak256("system measurements");
    address internal constant INSTANCE_ID = address(0x1257A7CE);
    string internal constant UP_TO_DATE = "UpToDate";
    string internal constant OUT_OF_DATE = "OutOfDate";
    string internal constant ADVISORY = "INTEL-SA-00001";
    string internal constant GATEWAY_APP_ID = "0x00000000000000000000000000000000cafe9a7e";
    string internal constant SHORT_GATEWAY_APP_ID = "gateway";

    /// @dev 33 bytes, as a compressed secp256k1 key has: one more than fits into the slot of a short `bytes`.
    bytes internal constant K256_PUBKEY = hex"02a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";
    bytes internal constant CA_PUBKEY = hex"3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247";
    bytes internal constant QUOTE = hex"04000200810000000000000093";
    bytes internal constant EVENTLOG = "[]";

    /// @dev Enough for an honest verdict, and small enough to burn quickly.
    uint256 internal constant VERDICT_GAS = 3_000_000;
    uint256 internal constant APP_VERSION = 2;
    bytes4 internal constant APP_AUTH_ID = 0x1e079198;
    bytes4 internal constant APP_AUTH_BASIC_MANAGEMENT_ID = 0x8fd37527;
    bytes4 internal constant ERC165_ID = 0x01ffc9a7;
    bytes4 internal constant ERC165_INVALID_ID = 0xffffffff;
}
