// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev Values of the `policy` topic of PolicyChanged. Indexers filter on them, so a label never changes.
library PolicyLabels {
    bytes32 internal constant COMPOSE_HASH = keccak256("compose-hash");
    bytes32 internal constant DEVICE = keccak256("device");
    bytes32 internal constant ALLOW_ANY_DEVICE = keccak256("allow-any-device");
    bytes32 internal constant REQUIRE_TCB_UP_TO_DATE = keccak256("require-tcb-up-to-date");
    bytes32 internal constant UPGRADES_DISABLED = keccak256("upgrades-disabled");

    bytes32 internal constant KMS_INFO = keccak256("kms-info");
    bytes32 internal constant GATEWAY_APP_ID = keccak256("gateway-app-id");
    bytes32 internal constant REGISTERED_APP = keccak256("registered-app");
    bytes32 internal constant APP_IMPLEMENTATION = keccak256("app-implementation");
    bytes32 internal constant KMS_AGGREGATED_MR = keccak256("kms-aggregated-mr");
    bytes32 internal constant KMS_DEVICE = keccak256("kms-device");
    bytes32 internal constant OS_IMAGE = keccak256("os-image");

    bytes32 internal constant IMPLEMENTATION_UPGRADE = keccak256("implementation-upgrade");
}
