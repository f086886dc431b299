// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackKms} from "dstack-toolkit/contracts/DstackKms.sol";
import {AppAuthV042} from "dstack-toolkit/contracts/testing/layouts/AppAuthV042.sol";
import {DstackAppV054} from "dstack-toolkit/contracts/testing/layouts/DstackAppV054.sol";
import {DstackAppV059} from "dstack-toolkit/contracts/testing/layouts/DstackAppV059.sol";
import {DstackKmsV059} from "dstack-toolkit/contracts/testing/layouts/DstackKmsV059.sol";
import {KmsAuthV042} from "dstack-toolkit/contracts/testing/layouts/KmsAuthV042.sol";

/// What a user's upgrade tests start from, and the name by which existing sources call the KMS's identity.
contract OlderReleases {
    AppAuthV042 public oldestApp;
    DstackAppV054 public olderApp;
    DstackAppV059 public app;
    KmsAuthV042 public oldestKms;
    DstackKmsV059 public kms;

    function publish(DstackKms current, bytes calldata key) external {
        current.setKmsInfo(DstackKms.KmsInfo({k256Pubkey: key, caPubkey: "", quote: "", eventlog: ""}));
    }
}
