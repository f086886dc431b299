// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title A public notice before a new version may boot
/// @notice `addComposeHash` proposes a hash. After the notice period anyone can activate it; until then the owner or the
/// guardian can cancel it. Removals take effect at once. The owner cannot avoid the notice: an upgrade, a shorter period
/// and another guardian also need a notice. Devices and flags do not.
interface IDstackAppNoticePeriod {
    /// @notice The owner proposed a version. It may not boot yet.
    event ComposeHashProposed(bytes32 composeHash, uint256 activatableAt);

    /// @notice The owner or the guardian took a proposal back, or a removal of the hash did.
    event ComposeHashProposalCancelled(bytes32 composeHash);

    /// @notice The owner proposed another implementation.
    event UpgradeProposed(address indexed implementation, uint256 activatableAt);

    /// @notice The owner or the guardian took a proposed upgrade back.
    event UpgradeProposalCancelled(address indexed implementation);

    /// @notice The owner set the notice period and the guardian, from this time on.
    event NoticeSettingsSet(uint256 noticePeriod, address indexed guardian, uint256 effectiveAt);

    /// @notice The guardian refused settings that were not effective yet.
    event NoticeSettingsCancelled();

    /// @notice The hash waits already, until this time.
    error AlreadyProposed(bytes32 composeHash, uint256 activatableAt);

    /// @notice No such proposal waits.
    error NotProposed();

    /// @notice The notice ends at this time.
    error NoticeNotOver(uint256 activatableAt);

    /// @notice Only the owner or the guardian may do this.
    error NeitherOwnerNorGuardian(address account);

    /// @notice A period of more than ten years is probably a mistake, and could not be shortened in time.
    error NoticePeriodTooLong(uint256 noticePeriod);

    /// @notice Allows a version whose notice is over. Callable by anyone.
    /// @dev Emits ComposeHashAdded.
    function activateComposeHash(bytes32 composeHash) external;

    /// @notice Takes a proposed version back. Owner or guardian only.
    function cancelComposeHash(bytes32 composeHash) external;

    /// @notice Begins the notice of an upgrade. Owner only.
    function proposeUpgrade(address implementation) external;

    /// @notice Takes a proposed upgrade back. Owner or guardian only.
    function cancelUpgrade(address implementation) external;

    /// @notice Sets the notice period, in seconds, and the guardian. Owner only.
    /// @dev A longer period with the same guardian is effective at once. Other settings are effective after the current
    /// period. Without a period, every change is effective at once.
    function setNoticeSettings(uint256 newNoticePeriod, address newGuardian) external;

    /// @notice Refuses settings that are not effective yet. Owner or guardian only.
    function cancelNoticeSettings() external;

    /// @notice Seconds from a proposal to its activation. Zero means that additions are effective at once.
    function noticePeriod() external view returns (uint256);

    /// @notice The account that can cancel what the owner proposes. Zero for none.
    function guardian() external view returns (address);

    /// @notice Settings that are not effective yet. All zero if there are none.
    function pendingNoticeSettings()
        external
        view
        returns (uint256 newNoticePeriod, address newGuardian, uint256 effectiveAt);

    /// @notice The versions that were proposed, and from when on each can be activated. In no particular order.
    function pendingComposeHashes()
        external
        view
        returns (bytes32[] memory composeHashes, uint256[] memory activatableAt);

    /// @notice From when on this version can be activated. Zero if it is not proposed.
    function composeHashActivatableAt(bytes32 composeHash) external view returns (uint256);

    /// @notice From when on the app can be upgraded to this implementation. Zero if it is not proposed.
    function upgradeActivatableAt(address implementation) external view returns (uint256);
}
