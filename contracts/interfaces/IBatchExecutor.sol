// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Several calls of an account in one transaction
interface IBatchExecutor {
    /// @notice One call; it carries no ETH.
    struct Call {
        address target;
        bytes data;
    }

    /// @notice The caller is not the account itself.
    error NotTheAccount(address caller);

    /// @notice A call reverted, so the whole batch reverted.
    /// @param index Position of the call in the batch, from 0.
    /// @param reason Revert data of the call.
    error CallFailed(uint256 index, bytes reason);

    /// @notice Makes the calls in their order. If one reverts, all revert. The targets see the account as the caller.
    /// @dev A call to an address without code succeeds, as it does for any account.
    /// @param calls Any number of calls, including none.
    function execute(Call[] calldata calls) external;
}
