// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev What both contracts inherit from OpenZeppelin, for tests that treat them alike.
interface OwnableLike {
    function owner() external view returns (address);
    function pendingOwner() external view returns (address);
    function transferOwnership(address newOwner) external;
    function acceptOwnership() external;
    function renounceOwnership() external;
}
