// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAppAuth} from "dstack-toolkit/contracts/interfaces/IAppAuth.sol";

/// @notice Pays only to code that a KMS would let boot.
contract Vault {
    IAppAuth public immutable kms;

    error WouldNotBoot(string reason);

    constructor(IAppAuth kms_) payable {
        kms = kms_;
    }

    function pay(address payable to, IAppAuth.AppBootInfo calldata bootInfo) external {
        (bool isAllowed, string memory reason) = kms.isAppAllowed(bootInfo);
        if (!isAllowed) revert WouldNotBoot(reason);
        to.transfer(address(this).balance);
    }
}
