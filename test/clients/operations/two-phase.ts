import { expect } from "chai";
import { withoutPrefix } from "../../../src/core/ids.ts";
import {
  expectInForce,
  expectRefusal,
  expectRegistered,
  expectUntouched,
  type InForce,
  isHashAllowed,
} from "../harness/checks.ts";
import { ClientError } from "../harness/client-errors.ts";
import { type Lane, nextCompose, type TestCvm } from "../harness/lane.ts";
import type { Operation, OperationGroup } from "../harness/operation.ts";
import type { Sdk } from "../harness/sdk.ts";

/** What phase 2 adds. Clients send the hash back as they received it. */
interface Proof {
  readonly composeHash: string;
  readonly transactionHash: string;
}

interface TwoPhaseUpdate {
  readonly name: string;
  /** The first phase without a proof, the second with one. The environment is what the update encrypts. */
  send(sdk: Sdk, cvm: Pick<TestCvm, "id">, encryptedEnv: string, proof?: Proof): Promise<unknown>;
  /** The state in force after the update. */
  readonly inForce: InForce;
  /** Encrypted for `send`. */
  readonly environment?: InForce["environment"];
}

const nextScript = "#!/bin/sh\necho ready\n";
const nextEnvironment = [
  { key: "MODE", value: "green" },
  { key: "LEVEL", value: "7" },
];
const sameKeys = [{ key: "MODE", value: "green" }];

const snake = (proof?: Proof) => proof && { compose_hash: proof.composeHash, transaction_hash: proof.transactionHash };

export const twoPhaseUpdates: readonly TwoPhaseUpdate[] = [
  {
    name: "updateDockerCompose",
    send: (sdk, { id }, _env, proof) =>
      sdk.call("updateDockerCompose", { id, docker_compose_file: nextCompose, ...snake(proof) }),
    inForce: { document: { docker_compose_file: nextCompose } },
  },
  {
    name: "updatePreLaunchScript",
    send: (sdk, { id }, _env, proof) =>
      sdk.call("updatePreLaunchScript", { id, pre_launch_script: nextScript, ...snake(proof) }),
    inForce: { document: { pre_launch_script: nextScript } },
  },
  {
    name: "updateCvmEnvs, other names",
    environment: nextEnvironment,
    send: (sdk, { id }, encrypted_env, proof) =>
      sdk.call("updateCvmEnvs", { id, encrypted_env, env_keys: ["MODE", "LEVEL"], ...snake(proof) }),
    inForce: { document: { allowed_envs: ["MODE", "LEVEL"] }, environment: nextEnvironment },
  },
  {
    name: "patchCvm and confirmCvmPatch",
    environment: sameKeys,
    send: (sdk, { id }, encrypted_env, proof) =>
      proof
        ? sdk.call("confirmCvmPatch", { id, ...proof })
        : sdk.call("patchCvm", { id, docker_compose_file: nextCompose, public_logs: false, encrypted_env }),
    inForce: { document: { docker_compose_file: nextCompose, public_logs: false }, environment: sameKeys },
  },
  {
    name: "updateCvmVisibility",
    send: (sdk, { id }, _env, proof) =>
      proof
        ? sdk.call("confirmCvmPatch", { id, ...proof })
        : sdk.call("updateCvmVisibility", { id, public_logs: false, public_sysinfo: false }),
    inForce: { document: { public_logs: false, public_sysinfo: false } },
  },
];

export const twoPhaseGroup: OperationGroup = {
  title: "Updates that change the compose hash",
  operations: twoPhaseUpdates.flatMap((update) => [
    inTwoPhases(update),
    inOnePhase(update),
    refusedForUnknownHash(update),
    refusedForWrongTransaction(update),
    refusedForWithdrawnHash(update),
  ]),
};

function inTwoPhases(update: TwoPhaseUpdate): Operation {
  return {
    name: `${update.name}, on-chain KMS: 465, register, confirm`,
    sdk: async ({ sdk, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { composeHash, encryptedEnv } = await propose(update, sdk, lane, cvm);
      await expectUntouched(lane, cvm);
      expect(await isHashAllowed(lane, cvm, composeHash), "hash on chain before").to.equal(false);

      const transactionHash = await lane.registerHash(cvm, composeHash);
      await update.send(sdk, cvm, encryptedEnv, { composeHash, transactionHash });
      await expectInForce(lane, cvm, { ...update.inForce, composeHash });
      await expectRegistered(lane, cvm, { composeHash, transactionHash });
      expect(lane.world.cloud.readHistory(cvm.id).at(-1)).to.include({ transactionHash });
    },
  };
}

function inOnePhase(update: TwoPhaseUpdate): Operation {
  return {
    name: `${update.name}, off-chain KMS: at once`,
    sdk: async ({ sdk, lane }) => {
      const cvm = await lane.createCvm("off-chain");
      await update.send(sdk, cvm, await encryptedFor(update, lane, cvm));
      await expectInForce(lane, cvm, update.inForce);
    },
  };
}

function refusedForUnknownHash(update: TwoPhaseUpdate): Operation {
  return {
    name: `${update.name}, hash never proposed: 466`,
    sdk: async ({ sdk, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const transactionHash = await lane.allowDevice(cvm, cvm.deviceId);
      const sent = update.send(sdk, cvm, await encryptedFor(update, lane, cvm), {
        composeHash: "ab".repeat(32),
        transactionHash,
      });
      await expectRefusal(sent, { status: 466, code: "ERR-01-006" });
      await expectUntouched(lane, cvm);
    },
  };
}

function refusedForWrongTransaction(update: TwoPhaseUpdate): Operation {
  return {
    name: `${update.name}, transaction of something else: 467`,
    sdk: async ({ sdk, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { composeHash, encryptedEnv } = await propose(update, sdk, lane, cvm);
      const transactionHash = await lane.allowDevice(cvm, cvm.deviceId);
      const sent = update.send(sdk, cvm, encryptedEnv, { composeHash, transactionHash });
      await expectRefusal(sent, { status: 467, code: "ERR-01-007" });
      await expectUntouched(lane, cvm);
    },
  };
}

function refusedForWithdrawnHash(update: TwoPhaseUpdate): Operation {
  return {
    name: `${update.name}, hash withdrawn again: 468`,
    sdk: async ({ sdk, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { composeHash, encryptedEnv } = await propose(update, sdk, lane, cvm);
      const transactionHash = await lane.registerHash(cvm, composeHash);
      await lane.withdrawHash(cvm, composeHash);
      const sent = update.send(sdk, cvm, encryptedEnv, { composeHash, transactionHash });
      await expectRefusal(sent, { status: 468, code: "ERR-01-008" });
      await expectUntouched(lane, cvm);
    },
  };
}

/** The first phase, whose answer must name the hash to register. */
async function propose(update: TwoPhaseUpdate, sdk: Sdk, lane: Lane, cvm: TestCvm) {
  const encryptedEnv = await encryptedFor(update, lane, cvm);
  const proposal = await readProposal(update.send(sdk, cvm, encryptedEnv));
  expect(proposal.appId).to.equal(withoutPrefix(cvm.appId));
  expect(proposal.deviceId).to.equal(withoutPrefix(cvm.deviceId));
  expect(proposal.kmsInfo).to.include({ chain_id: 8453, kms_contract_address: lane.world.contracts.kms.toLowerCase() });
  return { composeHash: proposal.composeHash, encryptedEnv };
}

function encryptedFor({ environment }: TwoPhaseUpdate, lane: Lane, cvm: TestCvm): Promise<string> {
  return lane.encrypt(cvm, environment ?? []);
}

interface Proposal {
  readonly composeHash: string;
  readonly appId: string;
  readonly deviceId: string;
  readonly kmsInfo: Record<string, unknown>;
}

/** A 465 reaches the caller as an answer: in camel case from patchCvm, else in snake case; from Go as an error. */
export async function readProposal(call: Promise<unknown>): Promise<Proposal> {
  const answer = await call.catch((error: unknown) => {
    if (error instanceof ClientError && error.status === 465) return fieldsOf(error.detail);
    throw error;
  });
  const fields = new Map(Object.entries(Object(answer)));
  const read = (camel: string, snake: string) => fields.get(camel) ?? fields.get(snake);
  const composeHash = read("composeHash", "compose_hash");
  if (typeof composeHash !== "string") throw new Error(`Expected a hash to register, got ${JSON.stringify(answer)}`);
  return {
    composeHash,
    appId: String(read("appId", "app_id")),
    deviceId: String(read("deviceId", "device_id")),
    kmsInfo: Object(read("kmsInfo", "kms_info")),
  };
}

function fieldsOf(detail: unknown): Record<string, unknown> {
  const details: unknown = Object(detail).details;
  if (!Array.isArray(details)) return {};
  return Object.fromEntries(details.map(({ field, value }: { field: string; value: unknown }) => [field, value]));
}
