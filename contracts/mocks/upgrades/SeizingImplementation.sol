// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1822Proxiable} from "@openzeppelin/contracts/interfaces/draft-IERC1822.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";

/// @dev An acceptable upgrade target that gives the proxy to any caller and clears the flags of an app. A thief of
/// the owner's key would install such code; disabled upgrades must prevent it.
contract SeizingImplementation is IERC1822Proxiable {
    bytes32 private constant OWNER_SLOT = 0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300;
    uint256 private constant APP_FLAGS_SLOT = 1;

    function seize() external {
        assembly ("memory-safe") {
            sstore(OWNER_SLOT, caller())
            sstore(APP_FLAGS_SLOT, 0)
        }
    }

    function upgradeToAndCall(address implementation, bytes calldata data) external payable {
        ERC1967Utils.upgradeToAndCall(implementation, data);
    }

    function proxiableUUID() external pure returns (bytes32) {
        return ERC1967Utils.IMPLEMENTATION_SLOT;
    }
}
