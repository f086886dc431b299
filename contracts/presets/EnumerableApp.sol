// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackAppEnumerable} from "../extensions/DstackAppEnumerable.sol";

/// @title DstackApp with lists of what it allows
contract EnumerableApp is DstackAppEnumerable {}
