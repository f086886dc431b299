// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "../../../contracts/DstackApp.sol";
import {BatchApp} from "../../../contracts/presets/BatchApp.sol";
import {EnumerableApp} from "../../../contracts/presets/EnumerableApp.sol";
import {NoticePeriodApp} from "../../../contracts/presets/NoticePeriodApp.sol";
import {ExtendedDstackApp} from "../../../contracts/presets/ExtendedDstackApp.sol";
import {DstackApp_UpgradeFromV054_Test} from "../DstackApp/UpgradeFromV054.t.sol";
import {DstackApp_UpgradeFromV059_Test} from "../DstackApp/UpgradeFromV059.t.sol";
import {DstackApp_IsAppAllowed_Test} from "../DstackApp/IsAppAllowed.t.sol";
import {DstackApp_DisableUpgrades_Test} from "../DstackApp/DisableUpgrades.t.sol";
import {DstackApp_Ownership_Test} from "../DstackApp/Ownership.t.sol";
import {DstackApp_SetAllowAnyDevice_Test} from "../DstackApp/SetAllowAnyDevice.t.sol";
import {DstackApp_SetRequireTcbUpToDate_Test} from "../DstackApp/SetRequireTcbUpToDate.t.sol";

// Each app with extensions passes the tests of DstackApp that are about its rule, its flags, its owner and its upgrades
// from the live layouts. Tests that name every written slot apply to DstackApp alone.

contract BatchApp_UpgradeFromV054_Test is DstackApp_UpgradeFromV054_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }
}

contract BatchApp_UpgradeFromV059_Test is DstackApp_UpgradeFromV059_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }
}

contract BatchApp_IsAppAllowed_Test is DstackApp_IsAppAllowed_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }
}

contract BatchApp_DisableUpgrades_Test is DstackApp_DisableUpgrades_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }
}

contract BatchApp_Ownership_Test is DstackApp_Ownership_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }
}

contract BatchApp_SetAllowAnyDevice_Test is DstackApp_SetAllowAnyDevice_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }
}

contract BatchApp_SetRequireTcbUpToDate_Test is DstackApp_SetRequireTcbUpToDate_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new BatchApp();
    }
}

contract EnumerableApp_UpgradeFromV054_Test is DstackApp_UpgradeFromV054_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new EnumerableApp();
    }
}

contract EnumerableApp_UpgradeFromV059_Test is DstackApp_UpgradeFromV059_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new EnumerableApp();
    }
}

contract EnumerableApp_IsAppAllowed_Test is DstackApp_IsAppAllowed_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new EnumerableApp();
    }
}

contract EnumerableApp_DisableUpgrades_Test is DstackApp_DisableUpgrades_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new EnumerableApp();
    }
}

contract EnumerableApp_Ownership_Test is DstackApp_Ownership_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new EnumerableApp();
    }
}

contract EnumerableApp_SetAllowAnyDevice_Test is DstackApp_SetAllowAnyDevice_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new EnumerableApp();
    }
}

contract EnumerableApp_SetRequireTcbUpToDate_Test is DstackApp_SetRequireTcbUpToDate_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new EnumerableApp();
    }
}

contract NoticePeriodApp_UpgradeFromV054_Test is DstackApp_UpgradeFromV054_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }
}

contract NoticePeriodApp_UpgradeFromV059_Test is DstackApp_UpgradeFromV059_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }
}

contract NoticePeriodApp_IsAppAllowed_Test is DstackApp_IsAppAllowed_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }
}

contract NoticePeriodApp_DisableUpgrades_Test is DstackApp_DisableUpgrades_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }
}

contract NoticePeriodApp_Ownership_Test is DstackApp_Ownership_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }
}

contract NoticePeriodApp_SetAllowAnyDevice_Test is DstackApp_SetAllowAnyDevice_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }
}

contract NoticePeriodApp_SetRequireTcbUpToDate_Test is DstackApp_SetRequireTcbUpToDate_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new NoticePeriodApp();
    }
}

contract ExtendedDstackApp_UpgradeFromV054_Test is DstackApp_UpgradeFromV054_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }
}

contract ExtendedDstackApp_UpgradeFromV059_Test is DstackApp_UpgradeFromV059_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }
}

contract ExtendedDstackApp_IsAppAllowed_Test is DstackApp_IsAppAllowed_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }
}

contract ExtendedDstackApp_DisableUpgrades_Test is DstackApp_DisableUpgrades_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }
}

contract ExtendedDstackApp_Ownership_Test is DstackApp_Ownership_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }
}

contract ExtendedDstackApp_SetAllowAnyDevice_Test is DstackApp_SetAllowAnyDevice_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }
}

contract ExtendedDstackApp_SetRequireTcbUpToDate_Test is DstackApp_SetRequireTcbUpToDate_Test {
    function _newAppImplementation() internal override returns (DstackApp) {
        return new ExtendedDstackApp();
    }
}
