// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {DstackApp} from "../DstackApp.sol";
import {IDstackAppNoticePeriod} from "./IDstackAppNoticePeriod.sol";

/// @title DstackApp with a public notice before a new version may boot
/// @dev The first hash of an app, which its initializer adds, needs no notice: no CVM depends on the app yet.
abstract contract DstackAppNoticePeriod is DstackApp, IDstackAppNoticePeriod {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    struct NoticeSettings {
        uint48 effectiveAt;
        uint48 noticePeriod;
        address guardian;
    }

    /// @custom:storage-location erc7201:dstack-toolkit.storage.DstackAppNoticePeriod
    struct NoticeStorage {
        NoticeSettings current;
        // Replaces `current` once its time has come. Its time is zero if there is none.
        NoticeSettings next;
        EnumerableSet.Bytes32Set proposed;
        mapping(bytes32 composeHash => uint256) activatableAt;
        mapping(address implementation => uint256) upgradeActivatableAt;
    }

    // keccak256(abi.encode(uint256(keccak256("dstack-toolkit.storage.DstackAppNoticePeriod")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant NOTICE_STORAGE = 0xa16145433e1dd2bda44e33fccbdf05a22d7f2c5b1a997f811b4d55eed3062100;

    uint256 private constant LONGEST_NOTICE = 3_650 days;

    modifier onlyOwnerOrGuardian() {
        if (msg.sender != owner() && msg.sender != guardian()) revert NeitherOwnerNorGuardian(msg.sender);
        _;
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function activateComposeHash(bytes32 composeHash) external virtual {
        _requireOver(composeHashActivatableAt(composeHash));
        _addComposeHash(composeHash);
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function cancelComposeHash(bytes32 composeHash) external virtual onlyOwnerOrGuardian {
        if (!_dropProposal(composeHash)) revert NotProposed();
        emit ComposeHashProposalCancelled(composeHash);
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function proposeUpgrade(address implementation) external virtual onlyOwner {
        uint256 due = block.timestamp + noticePeriod();
        _noticeStorage().upgradeActivatableAt[implementation] = due;
        emit UpgradeProposed(implementation, due);
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function cancelUpgrade(address implementation) external virtual onlyOwnerOrGuardian {
        if (upgradeActivatableAt(implementation) == 0) revert NotProposed();
        delete _noticeStorage().upgradeActivatableAt[implementation];
        emit UpgradeProposalCancelled(implementation);
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function setNoticeSettings(uint256 newNoticePeriod, address newGuardian) external virtual onlyOwner {
        if (newNoticePeriod > LONGEST_NOTICE) revert NoticePeriodTooLong(newNoticePeriod);
        NoticeStorage storage $ = _noticeStorage();
        NoticeSettings memory current = _currentSettings();
        bool isSafe = newNoticePeriod >= current.noticePeriod && newGuardian == current.guardian;
        uint256 due = isSafe ? block.timestamp : block.timestamp + current.noticePeriod;
        $.current = current;
        $.next = NoticeSettings(uint48(due), uint48(newNoticePeriod), newGuardian);
        emit NoticeSettingsSet(newNoticePeriod, newGuardian, due);
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function cancelNoticeSettings() external virtual onlyOwnerOrGuardian {
        NoticeStorage storage $ = _noticeStorage();
        if (block.timestamp >= $.next.effectiveAt) revert NotProposed();
        delete $.next;
        emit NoticeSettingsCancelled();
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function noticePeriod() public view virtual returns (uint256) {
        return _currentSettings().noticePeriod;
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function guardian() public view virtual returns (address) {
        return _currentSettings().guardian;
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function pendingNoticeSettings()
        external
        view
        virtual
        returns (uint256 newNoticePeriod, address newGuardian, uint256 effectiveAt)
    {
        NoticeSettings memory next = _noticeStorage().next;
        if (block.timestamp < next.effectiveAt) return (next.noticePeriod, next.guardian, next.effectiveAt);
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function pendingComposeHashes()
        external
        view
        virtual
        returns (bytes32[] memory composeHashes, uint256[] memory activatableAt)
    {
        NoticeStorage storage $ = _noticeStorage();
        composeHashes = $.proposed.values();
        activatableAt = new uint256[](composeHashes.length);
        for (uint256 i = 0; i < composeHashes.length; i++) activatableAt[i] = $.activatableAt[composeHashes[i]];
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function composeHashActivatableAt(bytes32 composeHash) public view virtual returns (uint256) {
        return _noticeStorage().activatableAt[composeHash];
    }

    /// @inheritdoc IDstackAppNoticePeriod
    function upgradeActivatableAt(address implementation) public view virtual returns (uint256) {
        return _noticeStorage().upgradeActivatableAt[implementation];
    }

    function supportsInterface(bytes4 interfaceId) public view virtual override returns (bool) {
        return interfaceId == type(IDstackAppNoticePeriod).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev Proposes the hash, or allows it: in the initializer, without a notice period, and once its notice is over. A
    /// hash that is allowed already only gets its events again.
    function _addComposeHash(bytes32 composeHash) internal virtual override returns (bool) {
        uint256 due = composeHashActivatableAt(composeHash);
        uint256 period = noticePeriod();
        bool isDue = due != 0 && block.timestamp >= due;
        if (isDue || period == 0 || _isInitializing() || allowedComposeHashes[composeHash]) {
            _dropProposal(composeHash);
            return super._addComposeHash(composeHash);
        }
        if (due != 0) revert AlreadyProposed(composeHash, due);
        due = block.timestamp + period;
        NoticeStorage storage $ = _noticeStorage();
        $.activatableAt[composeHash] = due;
        $.proposed.add(composeHash);
        emit ComposeHashProposed(composeHash, due);
        return true;
    }

    /// @dev A removed hash does not come back by an earlier proposal.
    function _removeComposeHash(bytes32 composeHash) internal virtual override returns (bool) {
        bool wasProposed = _dropProposal(composeHash);
        if (wasProposed) emit ComposeHashProposalCancelled(composeHash);
        return super._removeComposeHash(composeHash) || wasProposed;
    }

    function _beforeUpgrade(address newImplementation) internal virtual override {
        super._beforeUpgrade(newImplementation);
        if (noticePeriod() == 0) return;
        _requireOver(upgradeActivatableAt(newImplementation));
        delete _noticeStorage().upgradeActivatableAt[newImplementation];
    }

    function _dropProposal(bytes32 composeHash) private returns (bool wasProposed) {
        NoticeStorage storage $ = _noticeStorage();
        wasProposed = $.proposed.remove(composeHash);
        if (wasProposed) delete $.activatableAt[composeHash];
    }

    function _requireOver(uint256 activatableAt) private view {
        if (activatableAt == 0) revert NotProposed();
        if (block.timestamp < activatableAt) revert NoticeNotOver(activatableAt);
    }

    function _currentSettings() private view returns (NoticeSettings memory) {
        NoticeStorage storage $ = _noticeStorage();
        uint256 effectiveAt = $.next.effectiveAt;
        return effectiveAt != 0 && block.timestamp >= effectiveAt ? $.next : $.current;
    }

    function _noticeStorage() private pure returns (NoticeStorage storage $) {
        assembly {
            $.slot := NOTICE_STORAGE
        }
    }
}
