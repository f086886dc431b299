// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What a test's app and machine are made of where the test does not care
/// @dev The fixture of `dstack-toolkit/testing` uses the same values, so that tests in both languages agree.
library DstackDefaults {
    bytes32 internal constant COMPOSE_HASH = hex"c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0";
    bytes32 internal constant DEVICE_ID = hex"dededededededededededededededededededededededededededededededede";
    bytes32 internal constant OS_IMAGE_HASH = hex"0505050505050505050505050505050505050505050505050505050505050505";
    bytes32 internal constant MR_AGGREGATED = hex"a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6";
    bytes32 internal constant MR_SYSTEM = hex"5757575757575757575757575757575757575757575757575757575757575757";
    address internal constant INSTANCE_ID = 0x1111111111111111111111111111111111111111;
    string internal constant TCB_STATUS = "UpToDate";
}
