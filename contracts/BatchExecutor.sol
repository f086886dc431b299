// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IBatchExecutor} from "./interfaces/IBatchExecutor.sol";

/// @title The code an account with a plain key delegates to (EIP-7702) to send several calls at once
/// @dev It adds one power, `execute`, and gives it to nobody but the account itself: whoever could use it holds the
/// key already. There is no owner, no other caller, no nonce, no upgrade, no storage and no delegatecall, so nothing
/// stays behind when the account delegates elsewhere or to nothing.
///
/// Everything else keeps the account what it was before it had code. It takes ETH and any calldata in silence, takes
/// tokens that ask their receiver first, and where a contract asks code for a signature instead of recovering it
/// (ERC-1271), it answers what recovering would have.
contract BatchExecutor is IBatchExecutor, IERC1271, IERC721Receiver, IERC1155Receiver {
    receive() external payable {}

    /// @dev An account without code accepts whatever it is called with.
    fallback() external payable {}

    /// @inheritdoc IBatchExecutor
    function execute(Call[] calldata calls) external {
        if (msg.sender != address(this)) revert NotTheAccount(msg.sender);
        for (uint256 i = 0; i < calls.length; i++) {
            if (!_call(calls[i].target, calls[i].data)) revert CallFailed(i, _returnData());
        }
    }

    /// @inheritdoc IERC1271
    /// @dev The key of this very address must have signed this very hash, so a signature is good here exactly when
    /// it was good without code: nothing can be replayed from another account of the same key.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError problem, ) = ECDSA.tryRecoverCalldata(hash, signature);
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

    /// @dev Uses the same memory for every call, and leaves what the target returns where it is: neither a long batch
    /// nor a target that returns much makes the account pay for memory.
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
