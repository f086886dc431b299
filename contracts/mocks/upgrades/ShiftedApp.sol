// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../DstackApp.sol";
import {AppIdSlot} from "../../testing/layouts/AppAuthV042.sol";

/// @dev A variable before those of DstackApp moves all of them by one slot.
contract ShiftedApp is AppIdSlot, DstackApp {}
