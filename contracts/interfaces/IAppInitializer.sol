// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What the factory of DstackKms requires from the implementation behind new apps
interface IAppInitializer {
    /// @notice Sets the owner and the first policy. Works only once, through this or the older form.
    /// @dev The first caller decides who owns the app. Call it in the transaction that creates the proxy, as
    /// constructor data or through the factory. Any account can take over a proxy that is not initialised in the same
    /// transaction.
    /// @param initialOwner The first owner. Reverts with "invalid owner address" for zero.
    /// @param disableUpgrades_ True disables upgrades of this app from the start, permanently.
    /// @param requireTcbUpToDate_ True rejects machines whose platform lacks security updates.
    /// @param allowAnyDevice_ True allows every machine that the key service itself trusts.
    /// @param initialDeviceId First machine on the list. Zero for none.
    /// @param initialComposeHash First allowed version. Zero for none.
    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external;
}
