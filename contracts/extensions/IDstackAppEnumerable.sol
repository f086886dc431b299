// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Lists of everything that an app allows
/// @notice An app that was created with this extension has complete lists. An app that was upgraded to it has entries in
/// its mappings that no list names, because a mapping cannot be enumerated. They are imported, and until the owner
/// declares that all of them are, every answer says that it is incomplete.
interface IDstackAppEnumerable {
    /// @notice The owner declared that the lists name every allowed entry.
    event ImportCompleted(uint256 hashCount, uint256 machineCount);

    /// @notice Only entries that the app allows can be imported.
    error EntryNotAllowed(bytes32 entry);

    /// @notice What is not listed would stay allowed, so the lists must be complete first.
    error ListsIncomplete();

    /// @notice Every hash but those that are kept is removed already.
    error NothingToRevoke();

    /// @notice The lists are complete already.
    error ImportAlreadyCompleted();

    /// @notice Lists entries that were allowed before the upgrade. Callable by anyone, because only entries that the app
    /// allows are accepted. Entries that are listed already are skipped.
    function importEntries(bytes32[] calldata hashes, bytes32[] calldata devices) external;

    /// @notice Declares that the lists name every allowed entry. Owner only.
    /// @dev The contract cannot check this. Compare the lists with all events of the app first.
    function completeImport() external;

    /// @notice Removes every listed compose hash except these. Owner only, and only once the lists are complete.
    /// @dev Each kept hash must be allowed. The work grows with the product of both numbers.
    function revokeAllExcept(bytes32[] calldata kept) external;

    /// @notice Do the lists name every allowed entry?
    function isComplete() external view returns (bool);

    /// @notice The allowed compose hashes that are listed, in no particular order.
    /// @return values The entries.
    /// @return complete Whether there are no others.
    function composeHashes() external view returns (bytes32[] memory values, bool complete);

    /// @notice The listed devices, in no particular order.
    /// @return values The entries.
    /// @return complete Whether there are no others.
    function deviceIds() external view returns (bytes32[] memory values, bool complete);

    /// @notice The number of compose hashes that are listed.
    function composeHashCount() external view returns (uint256 count, bool complete);

    /// @notice The number of devices that are listed.
    function deviceCount() external view returns (uint256 count, bool complete);

    /// @notice One entry of the list of compose hashes, for lists that are too long for one answer.
    function composeHashAt(uint256 index) external view returns (bytes32);

    /// @notice One entry of the list of devices.
    function deviceIdAt(uint256 index) external view returns (bytes32);
}
