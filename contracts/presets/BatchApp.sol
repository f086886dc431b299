// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackAppBatch} from "../extensions/DstackAppBatch.sol";

/// @title DstackApp with several changes in one call
contract BatchApp is DstackAppBatch {}
