// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IDstackApp} from "dstack-toolkit/contracts/interfaces/IDstackApp.sol";

/// @notice Owns apps, and lets a new version boot only some time after it was announced, so that users who do not
/// agree with it can leave first.
contract NoticePeriod {
    uint256 public constant NOTICE = 2 days;

    address public immutable publisher;

    /// @notice When a version of an app may be released. Zero if it was not announced.
    mapping(IDstackApp app => mapping(bytes32 composeHash => uint256 time)) public readyAt;

    event Announced(IDstackApp indexed app, bytes32 indexed composeHash, uint256 readyAt);

    error NotThePublisher(address caller);
    error NotAnnounced();
    error TooEarly(uint256 readyAt);

    constructor(address publisher_) {
        publisher = publisher_;
    }

    function announce(IDstackApp app, bytes32 composeHash) external {
        if (msg.sender != publisher) revert NotThePublisher(msg.sender);
        uint256 time = block.timestamp + NOTICE;
        readyAt[app][composeHash] = time;
        emit Announced(app, composeHash, time);
    }

    /// @notice Any account may call it: the publisher decided when announcing.
    function release(IDstackApp app, bytes32 composeHash) external {
        uint256 time = readyAt[app][composeHash];
        if (time == 0) revert NotAnnounced();
        if (block.timestamp < time) revert TooEarly(time);
        app.addComposeHash(composeHash);
    }
}
