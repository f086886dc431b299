// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IBatchExecutor} from "./interfaces/IBatchExecutor.sol";

/// @title Code to which an EOA delegates (EIP-7702) to make several calls in one transaction
/// @dev It adds one function with effects, `execute` of ERC-7821, that only the account itself can call. A caller that
/// can use it already has the key. There is no owner, no other caller, no nonce, no upgrade, no storage and no
/// delegatecall. So nothing remains when the account delegates to another contract or ends the delegation.
///
/// Everything else lets the account behave as it did without code. It accepts ETH and, from others, any calldata without
/// an answer. It accepts tokens that ask their receiver first. Some contracts ask an account with code for a signature
/// check (ERC-1271) instead of recovering the signer; the answer is the same as with recovery.
contract BatchExecutor is IBatchExecutor, IERC1271, IERC721Receiver, IERC1155Receiver {
    /// @dev ERC-7579: byte 0 is the type of the call, byte 1 the treatment of a failure, bytes 6 to 9 select the format.
    bytes32 private constant MODE_MASK = 0xffff00000000ffffffff00000000000000000000000000000000000000000000;
    bytes32 private constant BATCH = 0x0100000000000000000000000000000000000000000000000000000000000000;
    bytes32 private constant BATCH_WITH_OP_DATA = 0x0100000000007821000100000000000000000000000000000000000000000000;
    bytes32 private constant BATCH_OF_BATCHES = 0x0100000000007821000200000000000000000000000000000000000000000000;

    receive() external payable {}

    /// @dev An account without code accepts any call. But a call of the account to itself is a batch, perhaps for another
    /// executor. If that call did nothing and succeeded, the account would take the batch for done.
    fallback() external payable {
        if (msg.sender == address(this)) revert FnSelectorNotRecognized();
    }

    /// @inheritdoc IBatchExecutor
    function execute(bytes32 mode, bytes calldata executionData) external payable {
        if (msg.sender != address(this)) revert NotTheAccount(msg.sender);
        bytes32 kind = mode & MODE_MASK;
        if (kind == BATCH) {
            _executeBatch(executionData, 0);
        } else if (kind == BATCH_WITH_OP_DATA) {
            _requireNoOpData(executionData);
            _executeBatch(executionData, 0);
        } else if (kind == BATCH_OF_BATCHES) {
            _executeBatches(executionData);
        } else {
            revert UnsupportedExecutionMode();
        }
    }

    /// @inheritdoc IBatchExecutor
    function supportsExecutionMode(bytes32 mode) external pure returns (bool) {
        bytes32 kind = mode & MODE_MASK;
        return kind == BATCH || kind == BATCH_WITH_OP_DATA || kind == BATCH_OF_BATCHES;
    }

    /// @inheritdoc IERC1271
    /// @dev The key of this address must have signed exactly this hash. Accepts what `ecrecover` accepts: 65 bytes are
    /// `r`, `s` and `v`, with any `s` below the order of the curve and `v` 27 or 28; 64 bytes are the form of EIP-2098.
    /// So each signature has a valid twin with another `s`, and the bytes of a signature do not identify it.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return _recover(hash, signature) == address(this) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
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

    function _executeBatches(bytes calldata data) private {
        (bytes calldata batches, uint256 count) = _arrayIn(data);
        uint256 done = 0;
        for (uint256 i = 0; i < count; i++) {
            bytes calldata batch = _bytesIn(_tailAt(batches, i * 0x20, 0x20));
            _requireNoOpData(batch);
            done += _executeBatch(batch, done);
        }
    }

    /// @param done Number of calls before this batch.
    /// @return count Number of calls in this batch.
    function _executeBatch(bytes calldata data, uint256 done) private returns (uint256 count) {
        bytes calldata calls;
        (calls, count) = _arrayIn(data);
        // `_arrayIn` has found `count` words in `calls`.
        unchecked {
            for (uint256 i = 0; i < count; i++) {
                bytes calldata tuple = _tailAt(calls, i * 0x20, 0x60);
                uint256 to = _wordAt(tuple, 0);
                if (to > type(uint160).max) revert InvalidExecutionData();
                if (!_call(address(uint160(to)), _wordAt(tuple, 0x20), _bytesIn(_tailAt(tuple, 0x40, 0x20)))) {
                    revert CallFailed(done + i, _returnData());
                }
            }
        }
    }

    /// @param data `abi.encode(calls)` or `abi.encode(calls, opData)`: the offset of the calls tells the two apart.
    function _requireNoOpData(bytes calldata data) private pure {
        if (data.length < 0x40 || _wordAt(data, 0) < 0x40) return;
        if (_bytesIn(_tailAt(data, 0x20, 0x20)).length > 0) revert OpDataNotSupported();
    }

    /// @dev Uses the same memory for every call and does not copy what the target returns. So neither a long batch nor
    /// a target that returns much data makes the account pay for memory.
    function _call(address to, uint256 value, bytes calldata data) private returns (bool ok) {
        assembly ("memory-safe") {
            if iszero(to) {
                to := address()
            }
            let input := mload(0x40)
            calldatacopy(input, data.offset, data.length)
            ok := call(gas(), to, value, input, data.length, 0, 0)
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

    // The functions below read the ABI encoding where it is, because abi.decode would copy it to memory. They accept and
    // refuse the same bytes as abi.decode.

    /// @param data The encoding of one array.
    /// @return elements The first element or its offset, with everything behind it. It has at least `count` words.
    function _arrayIn(bytes calldata data) private pure returns (bytes calldata elements, uint256 count) {
        elements = _tailAt(data, 0, 0x20);
        count = _wordAt(elements, 0);
        elements = elements[0x20:];
        if (count > elements.length / 0x20) revert InvalidExecutionData();
    }

    /// @param encoded The length of the bytes, and the bytes. It has at least one word.
    function _bytesIn(bytes calldata encoded) private pure returns (bytes calldata content) {
        uint256 length = _wordAt(encoded, 0);
        unchecked {
            if (length > encoded.length - 0x20) revert InvalidExecutionData();
        }
        assembly ("memory-safe") {
            content.offset := add(encoded.offset, 0x20)
            content.length := length
        }
    }

    /// @param data A tuple or the elements of an array, with everything behind it. Offsets count from its start.
    /// @param position Position of an offset in `data`.
    /// @param least Least number of bytes from there on.
    /// @return tail The bytes at the offset, with everything behind them.
    function _tailAt(bytes calldata data, uint256 position, uint256 least) private pure returns (bytes calldata tail) {
        uint256 offset = _wordAt(data, position);
        unchecked {
            if (offset > data.length || data.length - offset < least) revert InvalidExecutionData();
        }
        assembly ("memory-safe") {
            tail.offset := add(data.offset, offset)
            tail.length := sub(data.length, offset)
        }
    }

    function _wordAt(bytes calldata data, uint256 position) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, position))
        }
    }

    /// @return signer Zero if `ecrecover` accepts no such signature.
    function _recover(bytes32 hash, bytes calldata signature) private pure returns (address signer) {
        if (signature.length == 65) {
            return ecrecover(hash, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
        }
        if (signature.length == 64) {
            uint256 vs = uint256(bytes32(signature[32:]));
            return ecrecover(hash, uint8(27 + (vs >> 255)), bytes32(signature[:32]), bytes32((vs << 1) >> 1));
        }
    }
}
