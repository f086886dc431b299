// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title Boot check that a key service makes before it gives keys to a booting confidential VM
/// @notice ERC-165 id `0x1e079198`. DstackKms answers it for any app; an app contract answers it for itself.
interface IAppAuth is IERC165 {
    /// @notice What the hardware measured and attested about one booting machine.
    /// @dev The contracts do not verify these values. A caller that acts on the answer must take them from a verified
    /// quote: any account can call with an invented struct and learn what such a machine would get.
    /// @param appId Address of the app contract, which is also the identity of the app.
    /// @param composeHash SHA-256 of the exact bytes of the app-compose document.
    /// @param instanceId Identifies one running copy of the app.
    /// @param deviceId SHA-256 of the machine's platform id. It may change with firmware or hardware service.
    /// @param mrAggregated Digest over all measurement registers.
    /// @param mrSystem Digest over the registers that do not depend on the app.
    /// @param osImageHash Digest of the guest operating system image.
    /// @param tcbStatus The vendor's name for the patch level of the platform, such as `UpToDate`.
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
    /// @dev The answer is valid for the current block only. A later answer cannot take back keys that were already
    /// released. An app contract does not compare `bootInfo.appId` with its own address, so the caller must call the
    /// right contract.
    /// @return isAllowed True when every rule passes.
    /// @return reason The first rule that fails, as text. Empty if `isAllowed` is true.
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);
}
