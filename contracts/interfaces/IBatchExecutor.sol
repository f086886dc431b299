// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Several calls of an account in one transaction
interface IBatchExecutor {
    /// @notice One call; it carries no ETH.
    struct Call {
        address target;
        bytes data;
    }

    /// @notice Somebody else than the account itself asked for a batch.
    error NotTheAccount(address caller);

    /// @notice A call reverted, and with it the whole batch.
    /// @param index Its place in the batch, from 0.
    /// @param reason What the call reverted with.
    error CallFailed(uint256 index, bytes reason);

    /// @notice Makes the calls in their order, all of them or none. The targets see the account as the caller.
    /// @dev A call to an address without code succeeds, as it does for any account.
    /// @param calls Any number of calls, none included.
    function execute(Call[] calldata calls) external;
}
