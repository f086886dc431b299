// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackAppNoticePeriod} from "../extensions/DstackAppNoticePeriod.sol";

/// @title DstackApp with a public notice before a new version may boot
contract NoticePeriodApp is DstackAppNoticePeriod {}
