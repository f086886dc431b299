// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IBatchExecutor} from "../../../contracts/interfaces/IBatchExecutor.sol";
import {Defaults} from "../support/Defaults.sol";
import {BatchExecutor_Test} from "./BatchExecutorBase.sol";

/// @dev A delegated account can do and receive what it could without code.
contract BatchExecutor_PlainAccount_Test is BatchExecutor_Test {
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function testFuzz_WhenSentEtherOrAnyData_AcceptsIt(uint96 amount, bytes calldata data) external {
        vm.assume(data.length < 4 || !_isKnown(bytes4(data[:4])));
        vm.deal(stranger, amount);
        _startRecording();
        vm.prank(stranger);
        (bool ok, bytes memory returned) = owner.call{value: amount}(data);
        vm.assertTrue(ok, "taken");
        vm.assertEq(returned, "", "without an answer");
        vm.assertEq(owner.balance, amount, "all of it");
        _assertWritesNothing(owner);
        _assertNoLogs();
    }

    function test_WhenPaidWithTheStipendAlone_AcceptsIt() external {
        vm.deal(address(this), 1 ether);
        (bool ok, ) = owner.call{value: 1 ether, gas: 0}("");
        vm.assertTrue(ok, "2,300 gas suffice");
    }

    function testFuzz_RevertWhen_TheAccountCallsAnUnknownFunctionOfItself(bytes calldata data) external {
        vm.assume(data.length > 0 && (data.length < 4 || !_isKnown(bytes4(data[:4]))));
        bytes memory refusal = abi.encodeWithSelector(IBatchExecutor.FnSelectorNotRecognized.selector);
        _assertRevertsFrom(owner, data, refusal);
        _assertRevertsFrom(owner, _encode(_single(owner, data)), _failed(0, refusal));
    }

    /// @dev The function of the executors before ERC-7821.
    function test_RevertWhen_TheBatchIsForAnEarlierExecutor() external {
        bytes memory earlier = abi.encodeWithSignature("execute((address,bytes)[])", new bytes[](0));
        bytes memory refusal = abi.encodeWithSelector(IBatchExecutor.FnSelectorNotRecognized.selector);
        _assertRevertsFrom(owner, earlier, refusal);
    }

    function test_WhenTheAccountSendsItselfNothing_AcceptsIt() external {
        vm.deal(owner, 1 ether);
        vm.prank(owner);
        (bool ok, ) = owner.call{value: 1 ether}("");
        vm.assertTrue(ok, "as wallets do to spend a nonce");
    }

    function test_WhenSentTokensSafely_AcceptsThem() external {
        new Collectible().safeMint(owner);
        Bundle bundle = new Bundle();
        bundle.mint(owner, 1, 5);
        bundle.mintBatch(owner);
        vm.assertEq(bundle.balanceOf(owner, 1), 6, "single and batch");
    }

    function testFuzz_WhenSigned_AgreesWithRecovering(uint256 key, bytes32 digest) external view {
        key = _bound(key, 1, CURVE_ORDER - 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        bytes memory signature = abi.encodePacked(r, s, v);
        bool isOurs = vm.addr(key) == owner;
        vm.assertEq(SignatureChecker.isValidSignatureNow(owner, digest, signature), isOurs, "another key's");

        (v, r, s) = vm.sign(OWNER_KEY, digest);
        signature = abi.encodePacked(r, s, v);
        vm.assertTrue(SignatureChecker.isValidSignatureNow(owner, digest, signature), "the account's own");
        bytes32 other = keccak256(abi.encode(digest));
        vm.assertFalse(SignatureChecker.isValidSignatureNow(owner, other, signature), "for another hash");
        vm.assertFalse(SignatureChecker.isValidSignatureNow(stranger, digest, signature), "another account");
    }

    function testFuzz_WhenSigned_AcceptsEveryFormThatRecoveringAccepts(bytes32 digest) external view {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER_KEY, digest);
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        bytes32 highS = bytes32(CURVE_ORDER - uint256(s));
        uint8 otherV = 27 + 28 - v;
        vm.assertEq(ecrecover(digest, otherV, r, highS), owner, "the precompile accepts a high s");
        _assertAnswers(digest, abi.encodePacked(r, s, v), true, "65 bytes");
        _assertAnswers(digest, abi.encodePacked(r, highS, otherV), true, "a high s");
        _assertAnswers(digest, abi.encodePacked(r, vs), true, "64 bytes (EIP-2098)");
        _assertAnswers(digest, abi.encodePacked(r, s, otherV), false, "the other v");
        _assertAnswers(digest, abi.encodePacked(r, s, v - 27), false, "v of 0 or 1");
        _assertAnswers(digest, abi.encodePacked(r, vs ^ bytes32(uint256(1) << 255)), false, "the other v, in 64 bytes");
        _assertAnswers(digest, abi.encodePacked(r, s, v, bytes1(0)), false, "66 bytes");
        _assertAnswers(digest, abi.encodePacked(r, bytes32(uint256(s) + CURVE_ORDER / 2), v), false, "another s");
    }

    /// @dev For any numbers, the account is the one that the precompile recovers.
    function testFuzz_WhenSignatureHasRandomNumbers_AgreesWithThePrecompile(
        bytes32 digest,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        v = uint8(_bound(v, 26, 29));
        address signer = ecrecover(digest, v, r, s);
        address account = signer == address(0) ? owner : signer;
        vm.assume(account == owner || account.code.length == 0);
        vm.etch(account, address(executor).code);
        bytes32 answer = IERC1271(account).isValidSignature(digest, abi.encodePacked(r, s, v));
        vm.assertEq(answer == IERC1271.isValidSignature.selector, signer != address(0), "the precompile's answer");
    }

    function _assertAnswers(bytes32 digest, bytes memory signature, bool isValid, string memory what) private view {
        bytes4 answer = IERC1271(owner).isValidSignature(digest, signature);
        vm.assertEq(bytes32(answer), bytes32(isValid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff)), what);
    }

    function testFuzz_WhenSignatureIsInvalid_RefusesIt(bytes32 digest, bytes calldata junk) external view {
        vm.assertEq(
            bytes32(IERC1271(owner).isValidSignature(digest, junk)),
            bytes32(bytes4(0xffffffff)),
            "no revert, no yes"
        );
    }

    function test_WhenAskedForInterfaces_NamesItsOwn() external view {
        BatchInterfaces account = BatchInterfaces(owner);
        vm.assertTrue(account.supportsInterface(Defaults.ERC165_ID), "ERC-165");
        vm.assertTrue(account.supportsInterface(type(IERC1271).interfaceId), "ERC-1271");
        vm.assertTrue(account.supportsInterface(type(IERC721Receiver).interfaceId), "ERC-721");
        vm.assertTrue(account.supportsInterface(type(IERC1155Receiver).interfaceId), "ERC-1155");
        vm.assertFalse(account.supportsInterface(Defaults.ERC165_INVALID_ID), "no other");
    }

    function _isKnown(bytes4 selector) private pure returns (bool) {
        return
            selector == IBatchExecutor.execute.selector ||
            selector == IBatchExecutor.supportsExecutionMode.selector ||
            selector == IERC1271.isValidSignature.selector ||
            selector == IERC721Receiver.onERC721Received.selector ||
            selector == IERC1155Receiver.onERC1155Received.selector ||
            selector == IERC1155Receiver.onERC1155BatchReceived.selector ||
            selector == bytes4(Defaults.ERC165_ID);
    }
}

interface BatchInterfaces {
    function supportsInterface(bytes4 interfaceId) external view returns (bool);
}

contract Collectible is ERC721("collectible", "C") {
    function safeMint(address to) external {
        _safeMint(to, 1);
    }
}

contract Bundle is ERC1155("") {
    function mint(address to, uint256 id, uint256 amount) external {
        _mint(to, id, amount, "");
    }

    function mintBatch(address to) external {
        uint256[] memory ids = new uint256[](2);
        uint256[] memory amounts = new uint256[](2);
        (ids[0], ids[1], amounts[0], amounts[1]) = (1, 2, 1, 1);
        _mintBatch(to, ids, amounts, "");
    }
}
