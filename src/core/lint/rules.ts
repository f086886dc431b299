import {
  appIsKms,
  cvmWouldNotBoot,
  devicesWithoutEffect,
  eoaOwner,
  implementationDrift,
  noCode,
  nothingBoots,
  oneStepOwner,
  ownerCannotSign,
  pendingOwner,
  removeDeviceWithoutEffect,
  upgradeLosesPolicy,
} from "./app-rules.ts";
import { imageFromVariable, mutableImage, unreadableCompose } from "./compose-rules.ts";
import type { LintRule } from "./rule.ts";
import { hashOfNothing, sha384Value, shortValue, zeroValue } from "./value-rules.ts";

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
