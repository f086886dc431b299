// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IBatchExecutor} from "./interfaces/IBatchExecutor.sol";

/// @title Code to which an EOA delegates (EIP-7702) to make several calls in one transaction
/// @dev It adds one function, `execute`, that only the account itself can call. A caller that can use it already has
/// the key. There is no owner, no other caller, no nonce, no upgrade, no storage and no delegatecall. So nothing
/// remains when the account delegates to another contract or ends the delegation.
///
/// Everything else lets the account behave as it did without code. It accepts ETH and any calldata without an answer.
/// It accepts tokens that ask their receiver first. Some contracts ask an account with code for a signature check
/// (ERC-1271) instead of recovering the signer; the answer is the same as with recovery.
contract BatchExecutor is IBatchExecutor, IERC1271, IERC721Receiver, IERC1155Receiver {
    receive() external payable {}

    /// @dev An account without code accepts any call.
    fallback() external payable {}

    /// @inheritdoc IBatchExecutor
    function execute(Call[] calldata calls) external {
        if (msg.sender != address(this)) revert NotTheAccount(msg.sender);
        for (uint256 i = 0; i < calls.length; i++) {
            if (!_call(calls[i].target, calls[i].data)) revert CallFailed(i, _returnData());
        }
    }

    /// @inheritdoc IERC1271
    /// @dev The key of this address must have signed exactly this hash. So a signature is valid here exactly when it
    /// was valid without code, and a signature from another account of the same key cannot be replayed.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError problem, ) = ECDSA.tryRecover(hash, signature);
        bool isOurs = problem == ECDSA.RecoverError.NoError && signer == address(this);
        return isOurs ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @inheritdoc IERC721Receiver
    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return IERC721Receiver.onERC721Received.selector;
    }

    /// @inheritdoc IERC1155Receiver
    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external pure returns (bytes4) {
        return IERC1155Receiver.onERC1155Received.selector;
    }

    /// @inheritdoc IERC1155Receiver
    function onERC1155BatchReceived(
        address,
        address,
        uint256[] calldata,
        uint256[] calldata,
        bytes calldata
    ) external pure returns (bytes4) {
        return IERC1155Receiver.onERC1155BatchReceived.selector;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return
            interfaceId == type(IERC165).interfaceId ||
            interfaceId == type(IERC1271).interfaceId ||
            interfaceId == type(IERC721Receiver).interfaceId ||
            interfaceId == type(IERC1155Receiver).interfaceId;
    }

    /// @dev Uses the same memory for every call and does not copy what the target returns. So neither a long batch nor
    /// a target that returns much data makes the account pay for memory.
    function _call(address target, bytes calldata data) private returns (bool ok) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            calldatacopy(input, data.offset, data.length)
            ok := call(gas(), target, 0, input, data.length, 0, 0)
        }
    }

    function _returnData() private pure returns (bytes memory data) {
        assembly ("memory-safe") {
            data := mload(0x40)
            mstore(data, returndatasize())
            returndatacopy(add(data, 0x20), 0, returndatasize())
            mstore(0x40, and(add(add(data, returndatasize()), 0x3f), not(0x1f)))
        }
    }
}
