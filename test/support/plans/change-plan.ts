import { parseAppId, parseDeviceId } from "../../../src/core/ids.ts";
import { addOsImageHashCall } from "../../../src/core/kms-owner-calls.ts";
import {
  addComposeHashCall,
  addDeviceCall,
  removeComposeHashCall,
  setAllowAnyDeviceCall,
  upgradeCall,
} from "../../../src/core/owner-calls.ts";
import type { ChangePlan } from "../../../src/plans/change-plan.ts";
import { createChangePlan } from "../../../src/plans/create-change-plan.ts";
import { planPrune, removalsOf } from "../../../src/prune/plan-prune.ts";
import { allowedHash, allowlistUse, cvm, hashNumber, keepRulesWith, pinned } from "../prune/allowlist-use.ts";

export const appId = parseAppId("a0".repeat(20));
export const kms = `0x${"6b".repeat(20)}` as const;
const owner = `0x${"0e".repeat(20)}` as const;
const implementation = `0x${"1c".repeat(20)}` as const;
const codeHash = `0x${"cd".repeat(32)}` as const;
export const deviceId = parseDeviceId("de".repeat(32));

const web = cvm("web");
/** One row of every kind. */
const prune = planPrune(
  allowlistUse({
    allowed: [...[1, 2, 3, 4, 5, 6, 7].map(allowedHash), { composeHash: hashNumber(99), added: undefined }],
    running: [{ composeHash: hashNumber(1), cvm: web }],
    movingTo: [{ composeHash: hashNumber(2), cvm: web }],
    prepared: [{ composeHash: hashNumber(3), cvm: web, expiresAt: "2026-12-01T00:00:00Z" }],
    unknowns: [{ kind: "prepare-tokens", problem: "The cloud did not answer." }],
  }),
  keepRulesWith({
    keep: 1,
    olderThanSeconds: 60,
    pins: [{ composeHash: hashNumber(4), source: "--pin" }],
    queued: [{ source: "safe.json", composeHashes: [hashNumber(5)] }],
    acceptedUnknowns: ["prepare-tokens"],
  }),
);

const price = { gas: 90_000n, feePerGas: 7n, executionFee: 630_000n, l1Fee: 5n, operatorFee: 0n, total: 630_005n };

/** A plan of one app without optional parts. */
export function planWith(changes: Partial<ChangePlan> = {}): ChangePlan {
  return createChangePlan({
    ...{ task: "hash add", createdBy: "dstack-toolkit 0.1.0", createdAt: "2026-12-01T06:00:00.000Z" },
    ...{ chainId: 8453, appId, kms: undefined, owner: { address: owner, kind: "safe" }, pinned, accepted: [] },
    contracts: [{ contract: "app", address: appId, generation: "first" }],
    changes: [{ call: addComposeHashCall({ appId, composeHash: hashNumber(200) }), reason: { rule: "requested" } }],
    price: null,
    ...changes,
  });
}

/** A plan with every reason and every optional part. */
export const fullPlan = planWith({
  task: "update",
  kms,
  contracts: [
    { contract: "app", address: appId, generation: "first" },
    { contract: "kms", address: kms, generation: "0.6.5" },
  ],
  changes: [
    ...removalsOf(prune).map((composeHash) => ({
      call: removeComposeHashCall({ appId, composeHash }),
      reason: { rule: "unneeded" } as const,
    })),
    {
      call: addComposeHashCall({ appId, composeHash: hashNumber(200) }),
      reason: { rule: "update", cvms: [{ id: web.id, name: web.name }] },
    },
    { call: addDeviceCall({ appId, deviceId }), reason: { rule: "requested" } },
    { call: setAllowAnyDeviceCall({ appId, allowAny: false }), reason: { rule: "requested" } },
    { call: removeComposeHashCall({ appId, composeHash: hashNumber(201) }), reason: { rule: "revoked", note: "CVE" } },
    { call: removeComposeHashCall({ appId, composeHash: hashNumber(202) }), reason: { rule: "revoked" } },
    { call: upgradeCall({ appId, implementation }), reason: { rule: "upgrade" } },
    { call: addOsImageHashCall({ kms, osImageHash: codeHash }), reason: { rule: "requested" } },
  ],
  accepted: ["no-effect"],
  price: { transactions: 2, baseFeePerGas: 5n, expected: price, most: { ...price, l1Fee: 10n, total: 630_010n } },
  update: {
    cvms: [
      { id: "cvm_1", name: "web", previousComposeHash: hashNumber(1), composeHash: hashNumber(200), isAllowed: false },
      { id: "cvm_2", name: "web", composeHash: hashNumber(1), deviceId, isAllowed: true },
    ],
  },
  prune,
  upgrade: {
    ...{ implementation, codeHash, previousImplementation: owner, previousCodeHash: codeHash },
    ...{ generation: "first", layout: "compatible" },
  },
});
