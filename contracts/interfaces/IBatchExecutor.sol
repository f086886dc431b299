// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Several calls of an account in one transaction (ERC-7821)
/// @dev `execute` and `supportsExecutionMode` are the two functions of the standard. OpenZeppelin has an interface for
/// them only in its later versions.
interface IBatchExecutor {
    /// @notice One call.
    struct Call {
        /// @dev Zero stands for the account itself.
        address to;
        /// @dev In wei, from the account's balance.
        uint256 value;
        bytes data;
    }

    /// @notice The caller is not the account itself.
    error NotTheAccount(address caller);

    /// @notice `supportsExecutionMode` is false for this mode.
    error UnsupportedExecutionMode();

    /// @notice `executionData` is not what the mode prescribes, or it refers to bytes outside of itself.
    error InvalidExecutionData();

    /// @notice The batch has `opData`. The caller is the account itself, so there is nothing for which it would be read.
    error OpDataNotSupported();

    /// @notice A call reverted, so the whole batch reverted.
    /// @dev The standard asks for the error of the call alone. Here it is the `reason`, beside the position of the call.
    /// @param index Position of the call, from 0. In a batch of batches, the count goes through all batches.
    /// @param reason Revert data of the call.
    error CallFailed(uint256 index, bytes reason);

    /// @notice The account called itself with a function that it does not have.
    error FnSelectorNotRecognized();

    /// @notice Makes the calls in their order. If one reverts, all revert. The targets see the account as the caller.
    /// @dev A call to an address without code succeeds, as it does for any account.
    /// @param mode Starts with one of these, where the four bytes `xxxxxxxx` and all bytes behind are ignored (ERC-7579):
    /// - `0x0100xxxxxxxx00000000`: one batch, `abi.encode(calls)`.
    /// - `0x0100xxxxxxxx78210001`: one batch, also as `abi.encode(calls, opData)` with empty `opData`.
    /// - `0x0100xxxxxxxx78210002`: several batches, `abi.encode(batches)`. `batches` is a `bytes[]`, and each of its elements
    ///   is one batch as in the second mode.
    /// @param executionData The calls. There may be none.
    function execute(bytes32 mode, bytes calldata executionData) external payable;

    /// @notice Whether `execute` accepts the mode.
    function supportsExecutionMode(bytes32 mode) external view returns (bool);
}
