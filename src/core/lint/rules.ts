import type { LintRule } from "./lint-rule.ts";
import { appIsKms } from "./rules/app-is-kms.ts";
import { cvmWouldNotBoot } from "./rules/cvm-would-not-boot.ts";
import { devicesWithoutEffect } from "./rules/devices-without-effect.ts";
import { eoaOwner } from "./rules/eoa-owner.ts";
import { hashOfNothing } from "./rules/hash-of-nothing.ts";
import { imageFromVariable } from "./rules/image-from-variable.ts";
import { implementationDrift } from "./rules/implementation-drift.ts";
import { mutableImage } from "./rules/mutable-image.ts";
import { noCode } from "./rules/no-code.ts";
import { nothingBoots } from "./rules/nothing-boots.ts";
import { oneStepOwner } from "./rules/one-step-owner.ts";
import { ownerCannotSign } from "./rules/owner-cannot-sign.ts";
import { pendingOwner } from "./rules/pending-owner.ts";
import { removeDeviceWithoutEffect } from "./rules/remove-device-without-effect.ts";
import { sha384Value } from "./rules/sha384-value.ts";
import { shortValue } from "./rules/short-value.ts";
import { unreadableCompose } from "./rules/unreadable-compose.ts";
import { upgradeLosesPolicy } from "./rules/upgrade-loses-policy.ts";
import { zeroValue } from "./rules/zero-value.ts";

/** Every rule of the linter. docs/operator.md lists the same rows. */
export const lintRules: readonly LintRule[] = [
  noCode,
  appIsKms,
  ownerCannotSign,
  upgradeLosesPolicy,
  removeDeviceWithoutEffect,
  hashOfNothing,
  zeroValue,
  shortValue,
  sha384Value,
  unreadableCompose,
  imageFromVariable,
  mutableImage,
  implementationDrift,
  nothingBoots,
  cvmWouldNotBoot,
  devicesWithoutEffect,
  eoaOwner,
  oneStepOwner,
  pendingOwner,
];
