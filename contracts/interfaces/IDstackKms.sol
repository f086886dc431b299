// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "../DstackKms.sol";
import {IAppAuth} from "./IAppAuth.sol";
import {IPolicyAudit} from "./IPolicyAudit.sol";

/// @title Registry, OS image list and app factory of one key management service (KMS)
/// @notice Decides which nodes may join the KMS, and asks the app's own contract which apps may boot.
/// @dev The owner's lists work as in IAppAuthBasicManagement: repeating a call succeeds and emits the event again.
/// Removal stops the next boot; a running node or app keeps its keys. No call unregisters an app. After
/// `renounceOwnership` every list, the app implementation and the code are frozen. Create and initialise the proxy in
/// one transaction: the first caller that initialises a proxy decides its owner.
interface IDstackKms is IAppAuth, IPolicyAudit {
    /// @notice The whole public identity was replaced.
    event KmsInfoSet(bytes k256Pubkey);

    /// @notice The app id of the gateway was replaced.
    event GatewayAppIdSet(string gatewayAppId);

    /// @notice This address is now a registered app.
    event AppRegistered(address appId);

    /// @notice New apps from the factory run this code.
    event AppImplementationSet(address implementation);

    /// @notice The factory created and registered an app.
    /// @dev `deployer` called the factory and paid. The app may have another owner.
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

    /// @notice Sets the owner and, unless zero, the code of new apps. Works only once.
    /// @dev Call it in the transaction that creates the proxy. Otherwise any account can take over the proxy.
    function initialize(address initialOwner, address appImplementation_) external;

    /// @notice Replaces the whole public identity. Owner only.
    /// @dev The event contains only the root key. This call does not change the keys inside the KMS.
    function setKmsInfo(DstackKms.KmsInfo calldata info) external;

    /// @notice Replaces the quote. Owner only.
    /// @dev Emits nothing: watchers have to read `kmsInfo` to notice.
    function setKmsQuote(bytes calldata quote) external;

    /// @notice Replaces the event log. Owner only.
    /// @dev Emits nothing: watchers have to read `kmsInfo` to notice.
    function setKmsEventlog(bytes calldata eventlog) external;

    /// @notice Replaces the app id of the gateway. Owner only.
    function setGatewayAppId(string calldata appId) external;

    /// @notice Registers an app contract. Any account may call this, on purpose.
    /// @dev Registration gives no rights: keys depend on what the app contract answers about its own id, and an app
    /// that lies harms only itself. Registration does not show who owns the address, whether it has code, or who
    /// called. Do not read it as approval. Reverts with "Invalid app ID" for the zero address.
    function registerApp(address appId) external;

    /// @notice Sets the code of apps created from now on. Owner only.
    /// @dev Existing apps keep their code; each is upgraded by its own owner. Reverts with "Invalid implementation
    /// address" for the zero address. No other property of the address is checked here.
    function setAppImplementation(address implementation) external;

    /// @notice Creates an app behind an ERC-1967 proxy, initialises it and registers it, in one transaction.
    /// @dev Any account may call this. Reverts with "DstackApp implementation not set", then with "Invalid owner
    /// address". The arguments are those of IAppInitializer.
    /// @return appId The new proxy.
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId);

    /// @notice The older form of the factory. The new app does not check the platform's state.
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

    /// @notice Stops new nodes with this aggregated measurement from joining. Owner only.
    function removeKmsAggregatedMr(bytes32 mrAggregated) external;

    /// @notice Lets KMS nodes run on this machine. Owner only.
    function addKmsDevice(bytes32 deviceId) external;

    /// @notice Stops KMS nodes from starting on this machine. Owner only.
    function removeKmsDevice(bytes32 deviceId) external;

    /// @notice Lets machines boot this OS image, for KMS nodes and for every app. Owner only.
    function addOsImageHash(bytes32 osImageHash) external;

    /// @notice Removes an OS image from the list. Owner only.
    /// @dev Affects every app immediately: an app on this image cannot boot again until it uses another image.
    function removeOsImageHash(bytes32 osImageHash) external;

    /// @notice May this node join the KMS and receive its root keys?
    /// @dev Checks in this order: platform state (exactly the bytes `UpToDate`), OS image, aggregated measurement,
    /// machine. There is no "any device" option here.
    /// @return isAllowed True when every rule passes.
    /// @return reason The first rule that fails, as text. Empty if `isAllowed` is true.
    function isKmsAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);

    /// @notice Public identity of the KMS.
    function kmsInfo()
        external
        view
        returns (bytes memory k256Pubkey, bytes memory caPubkey, bytes memory quote, bytes memory eventlog);

    /// @notice App id of the gateway.
    function gatewayAppId() external view returns (string memory);

    /// @notice Was this address ever registered? Proves nothing about its code or its honesty.
    function registeredApps(address appId) external view returns (bool);

    /// @notice May nodes with this aggregated measurement join the KMS?
    function kmsAllowedAggregatedMrs(bytes32 mrAggregated) external view returns (bool);

    /// @notice May KMS nodes run on this machine?
    function kmsAllowedDeviceIds(bytes32 deviceId) external view returns (bool);

    /// @notice May machines boot this OS image?
    function allowedOsImages(bytes32 osImageHash) external view returns (bool);

    /// @notice Code of new apps. Zero if none was set.
    function appImplementation() external view returns (address);
}
