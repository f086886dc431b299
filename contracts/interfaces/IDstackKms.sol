// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../DstackKms.sol";
import {IAppAuth} from "./IAppAuth.sol";
import {IPolicyAudit} from "./IPolicyAudit.sol";

/// @title Registry, OS image list and app factory of one key management service (KMS)
/// @notice Says which nodes may join the KMS, and asks the app's own contract which apps may boot.
/// @dev The owner's lists are set writes, as in IAppAuthBasicManagement: repeating one succeeds and emits again.
/// Removal stops the next boot; a node or app that is running keeps the keys it has. There is no call that
/// unregisters an app. After `renounceOwnership` every list, the app implementation and the code are frozen.
/// Put the proxy and its initialisation into one transaction: whoever initialises a bare proxy owns it.
interface IDstackKms is IAppAuth, IPolicyAudit {
    /// @notice All of the public identity was replaced.
    event KmsInfoSet(bytes k256Pubkey);

    /// @notice The app id of the gateway was replaced.
    event GatewayAppIdSet(string gatewayAppId);

    /// @notice This address counts as a registered app.
    event AppRegistered(address appId);

    /// @notice New apps of the factory run this code.
    event AppImplementationSet(address implementation);

    /// @notice The factory created and registered an app.
    /// @dev `deployer` called the factory and pays; the app may belong to somebody else.
    event AppDeployedViaFactory(address indexed appId, address indexed deployer);

    /// @notice Nodes with this aggregated measurement may join the KMS.
    event KmsAggregatedMrAdded(bytes32 mrAggregated);

    /// @notice Nodes with this aggregated measurement may no longer join.
    event KmsAggregatedMrRemoved(bytes32 mrAggregated);

    /// @notice KMS nodes may run on this machine.
    event KmsDeviceAdded(bytes32 deviceId);

    /// @notice KMS nodes may no longer start on this machine.
    event KmsDeviceRemoved(bytes32 deviceId);

    /// @notice Machines may boot this OS image.
    event OsImageHashAdded(bytes32 osImageHash);

    /// @notice Machines may no longer boot this OS image.
    event OsImageHashRemoved(bytes32 osImageHash);

    /// @notice Sets the owner and, unless zero, the code of new apps. Works once.
    /// @dev Call it in the transaction that creates the proxy; a bare proxy can be taken by anyone.
    function initialize(address initialOwner, address appImplementation_) external;

    /// @notice Replaces the whole public identity. Owner only.
    /// @dev The event carries only the root key. The keys inside the KMS do not change by this.
    function setKmsInfo(DstackKms.KmsInfo calldata info) external;

    /// @notice Replaces the quote. Owner only.
    /// @dev Emits nothing: watchers have to read `kmsInfo` to notice.
    function setKmsQuote(bytes calldata quote) external;

    /// @notice Replaces the event log. Owner only.
    /// @dev Emits nothing: watchers have to read `kmsInfo` to notice.
    function setKmsEventlog(bytes calldata eventlog) external;

    /// @notice Replaces the app id of the gateway. Owner only.
    function setGatewayAppId(string calldata appId) external;

    /// @notice Registers an app contract. Open to everyone, on purpose.
    /// @dev Registration gives no privilege: keys depend on what the app contract answers about its own id, and an
    /// app that lies harms only itself. It says nothing about who owns the address, whether it has code, or who
    /// called; do not read it as approval. Reverts with "Invalid app ID" for the zero address.
    function registerApp(address appId) external;

    /// @notice Chooses the code of apps created from now on. Owner only.
    /// @dev Existing apps keep theirs: each is upgraded by its own owner. Reverts with
    /// "Invalid implementation address" for the zero address; nothing else about the address is checked here.
    function setAppImplementation(address implementation) external;

    /// @notice Creates an app behind an ERC-1967 proxy, initialises and registers it, all in one transaction.
    /// @dev Open to everyone. Reverts with "DstackApp implementation not set", then "Invalid owner address".
    /// The arguments are those of IAppInitializer.
    /// @return appId The new proxy.
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId);

    /// @notice The older form of the factory; the new app does not check the platform's state.
    /// @return appId The new proxy.
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId);

    /// @notice Lets nodes with this aggregated measurement join the KMS. Owner only.
    function addKmsAggregatedMr(bytes32 mrAggregated) external;

    /// @notice Stops admitting nodes with this aggregated measurement. Owner only.
    function removeKmsAggregatedMr(bytes32 mrAggregated) external;

    /// @notice Lets KMS nodes run on this machine. Owner only.
    function addKmsDevice(bytes32 deviceId) external;

    /// @notice Stops admitting KMS nodes on this machine. Owner only.
    function removeKmsDevice(bytes32 deviceId) external;

    /// @notice Lets machines boot this OS image, KMS nodes and every app alike. Owner only.
    function addOsImageHash(bytes32 osImageHash) external;

    /// @notice Withdraws an OS image. Owner only.
    /// @dev Hits every app at once: none that measured this image can boot again until it moves to another.
    function removeOsImageHash(bytes32 osImageHash) external;

    /// @notice May this node join the KMS and receive its root keys?
    /// @dev Rules in order: platform state byte-exactly `UpToDate`, OS image, aggregated measurement, machine.
    /// There is no "any device" here.
    /// @return isAllowed True when every rule passes.
    /// @return reason The first rule that fails, in words; empty when `isAllowed` is true.
    function isKmsAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);

    /// @notice Public identity of the KMS.
    function kmsInfo()
        external
        view
        returns (bytes memory k256Pubkey, bytes memory caPubkey, bytes memory quote, bytes memory eventlog);

    /// @notice App id of the gateway.
    function gatewayAppId() external view returns (string memory);

    /// @notice Was this address ever registered? Says nothing about its code or honesty.
    function registeredApps(address appId) external view returns (bool);

    /// @notice May nodes with this aggregated measurement join the KMS?
    function kmsAllowedAggregatedMrs(bytes32 mrAggregated) external view returns (bool);

    /// @notice May KMS nodes run on this machine?
    function kmsAllowedDeviceIds(bytes32 deviceId) external view returns (bool);

    /// @notice May machines boot this OS image?
    function allowedOsImages(bytes32 osImageHash) external view returns (bool);

    /// @notice Code of new apps; zero when none was chosen.
    function appImplementation() external view returns (address);
}
