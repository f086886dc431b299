// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What the factory of DstackKms demands of the implementation it puts behind new apps
interface IAppInitializer {
    /// @notice Sets the owner and the first policy. Works once, by this or the older form.
    /// @dev Whoever calls first becomes the master of the app. Call it in the transaction that creates the proxy,
    /// as constructor data or through the factory; a proxy left bare for one block can be taken by anyone.
    /// @param initialOwner Reverts with "invalid owner address" when zero.
    /// @param disableUpgrades_ True freezes the code of this app from the start, for good.
    /// @param requireTcbUpToDate_ True refuses machines whose platform is behind on security updates.
    /// @param allowAnyDevice_ True lets every machine boot that the key service itself trusts.
    /// @param initialDeviceId First listed machine; zero for none.
    /// @param initialComposeHash First allowed version; zero for none.
    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external;
}
