// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title The question a key service asks before it hands keys to a booting confidential VM
/// @notice ERC-165 id `0x1e079198`. DstackKms answers it for any app; an app contract answers it for itself.
interface IAppAuth is IERC165 {
    /// @notice What the hardware measured and attested about one booting machine.
    /// @dev Contracts trust these values as given. Whoever acts on the answer must have taken them from a
    /// verified quote: anybody can call with an invented struct and be told what such a machine would get.
    /// @param appId Address of the app contract, which is also the identity of the app.
    /// @param composeHash SHA-256 of the exact bytes of the app-compose document.
    /// @param instanceId Identifies one running copy of the app.
    /// @param deviceId SHA-256 of the machine's platform id. It may change with firmware or hardware service.
    /// @param mrAggregated Digest over all measurement registers.
    /// @param mrSystem Digest over the registers that do not depend on the app.
    /// @param osImageHash Digest of the guest operating system image.
    /// @param tcbStatus The vendor's word for the patch level of the platform, such as `UpToDate`.
    /// @param advisoryIds Security advisories that apply to the platform. No rule here reads them.
    struct AppBootInfo {
        address appId;
        bytes32 composeHash;
        address instanceId;
        bytes32 deviceId;
        bytes32 mrAggregated;
        bytes32 mrSystem;
        bytes32 osImageHash;
        string tcbStatus;
        string[] advisoryIds;
    }

    /// @notice May this machine boot this app and receive its keys?
    /// @dev A verdict for the present block only. Keys that were released stay released whatever the answer
    /// becomes later. An app contract does not compare `bootInfo.appId` with its own address: whoever asks chooses
    /// whom to ask.
    /// @return isAllowed True when every rule passes.
    /// @return reason The first rule that fails, in words; empty when `isAllowed` is true.
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);
}
