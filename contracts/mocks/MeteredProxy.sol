// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";

/// @dev Returns, for every call, only the gas that its implementation used. In place of the code of an
/// ERC-1967 proxy, it measures execution behind the delegatecall: storage is as cold as in a transaction of its own,
/// while the intrinsic cost, the proxy and the first touch of the implementation's account stay out of the figure.
contract MeteredProxy {
    fallback() external payable {
        address implementation = ERC1967Utils.getImplementation();
        address empty = address(0xdead);
        // The empty account shows what the measurement itself costs.
        (, uint256 overhead) = _measure(empty);
        (bool ok, uint256 spent) = _measure(implementation);
        assembly ("memory-safe") {
            if iszero(ok) {
                let data := mload(0x40)
                returndatacopy(data, 0, returndatasize())
                revert(data, returndatasize())
            }
            mstore(0, sub(spent, overhead))
            return(0, 0x20)
        }
    }

    function _measure(address target) private returns (bool ok, uint256 spent) {
        assembly ("memory-safe") {
            pop(extcodesize(target))
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            let before := gas()
            ok := delegatecall(before, target, data, calldatasize(), 0, 0)
            spent := sub(before, gas())
        }
    }
}
