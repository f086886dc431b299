// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev First topics of all events, as literals computed outside Solidity from the published signatures, so that a
/// renamed or retyped event fails every test that expects it.
library Topics {
    bytes32 internal constant COMPOSE_HASH_ADDED = 0xfecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af;
    bytes32 internal constant COMPOSE_HASH_REMOVED = 0x755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947;
    bytes32 internal constant DEVICE_ADDED = 0x67fc71ab96fe3fa3c6f78e9a00e635d591b7333ce611c0380bc577aac702243b;
    bytes32 internal constant DEVICE_REMOVED = 0xe0862975ac517b0478d308012afabc4bc37c23874a18144d7f2dfb852ff95c2c;
    bytes32 internal constant ALLOW_ANY_DEVICE_SET = 0xbb2cdb6c7b362202d40373f87bc4788301cca658f91711ac1662e1ad2cba4a20;
    bytes32 internal constant REQUIRE_TCB_UP_TO_DATE_SET =
        0xafae60561b2481a349b45b3a47357f70eef6ae67e5b6e1749d74de7f19a25aa1;
    bytes32 internal constant UPGRADES_DISABLED = 0x0e5daa943fcd7e7182d0e893d180695c2ea9f6f1b4a1c5432faf14cf17b774e8;
    bytes32 internal constant POLICY_CHANGED = 0x341d3bc64e32172fc5bcf27b0f7f69dc5adc19af64b7aa1dee361e5883c32375;

    bytes32 internal constant KMS_INFO_SET = 0x77cdad119a452bbd96c45635758fc4af8a6bde3deaccf3fada634ddf9a162706;
    bytes32 internal constant GATEWAY_APP_ID_SET = 0x5b2b64f770ea5266055ebd3ebf205ef06cbfa738e62684edf0e28356e34acf06;
    bytes32 internal constant APP_REGISTERED = 0x0d540ad8f39e07d19909687352b9fa017405d93c91a6760981fbae9cf28bfef7;
    bytes32 internal constant APP_IMPLEMENTATION_SET =
        0x08bb433f12b5fd81d2d5e0deeb3b4d28371781ddbd80e9d053e7468d2b1aa82d;
    bytes32 internal constant APP_DEPLOYED_VIA_FACTORY =
        0xfd86d7f6962eba3b7a3bf9129c06c0b2f885e1c61ef2c9f0dbb856be0deefdee;
    bytes32 internal constant KMS_AGGREGATED_MR_ADDED =
        0x68615a0b92795750b3d180ff73429e1291d225e449eee954a567b91104fd9837;
    bytes32 internal constant KMS_AGGREGATED_MR_REMOVED =
        0x54cd662e41eec7ddf0f32f034b2533e481b471dd3ea978222d609ec8fffb1bb0;
    bytes32 internal constant KMS_DEVICE_ADDED = 0xf2b290637b1193e12eb38ab32b986303639b1687cc2cd1e25f993e6eae2f4041;
    bytes32 internal constant KMS_DEVICE_REMOVED = 0x1a9888a45e3df8b7e6bb3090747d598d2a0d78e61388161a90799f54df8f4434;
    bytes32 internal constant OS_IMAGE_HASH_ADDED = 0x4911843506849c85a5ca6e6e2c01eed2d3ab86baba619517a2aad9d5ab2aeff2;
    bytes32 internal constant OS_IMAGE_HASH_REMOVED =
        0x99b3cee95daf3138d0c982299cd0264f5b7a61aa629b42b92f3ec8966aa7f6fe;

    bytes32 internal constant OWNERSHIP_TRANSFER_STARTED =
        0x38d16b8cac22d99fc7c124b9cd0de2d3fa1faef420bfe791d8c362d765e22700;
    bytes32 internal constant OWNERSHIP_TRANSFERRED =
        0x8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0;
    bytes32 internal constant INITIALIZED = 0xc7f505b2f371ae2175ee4913f4499e1f2633a7b5936321eed1cdaeb6115181d2;
    bytes32 internal constant UPGRADED = 0xbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b;
}
