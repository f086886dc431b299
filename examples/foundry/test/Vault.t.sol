// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {DstackApp} from "dstack-toolkit/contracts/DstackApp.sol";
import {DstackKms} from "dstack-toolkit/contracts/DstackKms.sol";
import {IAppAuth} from "dstack-toolkit/contracts/interfaces/IAppAuth.sol";
import {DstackTest} from "dstack-toolkit/contracts/testing/DstackTest.sol";
import {Vault} from "../src/Vault.sol";

contract VaultTest is DstackTest {
    address payable private constant RECEIVER = payable(address(0xBEEF));
    Vault private vault;
    DstackApp private app;

    function setUp() external {
        DstackKms kms = _deployDstackKms(address(this));
        app = _deployDstackApp(kms, address(this));
        vault = new Vault{value: 1 ether}(IAppAuth(address(kms)));
    }

    function test_WhenTheCodeBoots_Pays() external {
        vault.pay(RECEIVER, _bootInfoOf(address(app)));
        assert(RECEIVER.balance == 1 ether);
    }

    function test_RevertWhen_ComposeHashIsAnother() external {
        IAppAuth.AppBootInfo memory bootInfo = _bootInfoOf(address(app));
        bootInfo.composeHash = keccak256("another document");
        try vault.pay(RECEIVER, bootInfo) {
            assert(false);
        } catch (bytes memory reason) {
            assert(
                keccak256(reason) ==
                    keccak256(abi.encodeWithSelector(Vault.WouldNotBoot.selector, "Compose hash not allowed"))
            );
        }
    }
}
