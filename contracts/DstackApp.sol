// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {DstackAppBase} from "./DstackAppBase.sol";
import {IAppAuth} from "./interfaces/IAppAuth.sol";
import {IAppAuthBasicManagement} from "./interfaces/IAppAuthBasicManagement.sol";
import {IDstackApp} from "./interfaces/IDstackApp.sol";
import {PolicyLabels} from "./libraries/PolicyLabels.sol";

/// @title The boot policy of one app, behind a UUPS proxy
/// @dev DstackAppBase holds the state and the rule. A contract of your own derives from this one and overrides its
/// functions, or the hooks of the base.
contract DstackApp is DstackAppBase {
    /// @inheritdoc IAppAuthBasicManagement
    function addComposeHash(bytes32 composeHash) external virtual onlyOwner {
        require(composeHash != 0, "invalid compose hash");
        _addComposeHash(composeHash);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function removeComposeHash(bytes32 composeHash) external virtual onlyOwner {
        _removeComposeHash(composeHash);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function addDevice(bytes32 deviceId) external virtual onlyOwner {
        require(deviceId != 0, "invalid device ID");
        _addDevice(deviceId);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function removeDevice(bytes32 deviceId) external virtual onlyOwner {
        _removeDevice(deviceId);
    }

    /// @inheritdoc IDstackApp
    function setAllowAnyDevice(bool allowAny) external onlyOwner {
        allowAnyDevice = allowAny;
        emit AllowAnyDeviceSet(allowAny);
        _recordPolicy(PolicyLabels.ALLOW_ANY_DEVICE, 0, allowAny);
    }

    /// @inheritdoc IDstackApp
    function setRequireTcbUpToDate(bool requireUpToDate) external onlyOwner {
        requireTcbUpToDate = requireUpToDate;
        emit RequireTcbUpToDateSet(requireUpToDate);
        _recordPolicy(PolicyLabels.REQUIRE_TCB_UP_TO_DATE, 0, requireUpToDate);
    }

    /// @inheritdoc IDstackApp
    function disableUpgrades() external onlyOwner {
        _disableUpgrades();
    }

    /// @inheritdoc IAppAuth
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        reason = _findRefusal(bootInfo);
        isAllowed = bytes(reason).length == 0;
    }

    /// @inheritdoc IDstackApp
    function version() public pure returns (uint256) {
        return 2;
    }

    /// @inheritdoc IERC165
    function supportsInterface(
        bytes4 interfaceId
    ) public view virtual override(ERC165Upgradeable, IERC165) returns (bool) {
        return
            interfaceId == type(IAppAuth).interfaceId ||
            interfaceId == type(IAppAuthBasicManagement).interfaceId ||
            super.supportsInterface(interfaceId);
    }
}
