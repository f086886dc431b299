import type { Address } from "viem";
import type { ChainClient } from "../../chain/client.ts";
import { type ReadAppStatusReturnType, readAppStatus } from "../../chain/read-app.ts";
import { readAppImplementation } from "../../chain/read-kms.ts";
import type { JudgedContract } from "../../core/generation.ts";
import type { AppId, ComposeHash, DeviceId } from "../../core/ids.ts";
import type { AppFacts, LintSubject } from "../../core/lint/rule.ts";
import { requireDstackKms } from "../connect/require-dstack-kms.ts";

export interface GatherLintSubjectParameters {
  readonly appId: AppId;
  /** Undefined if nobody knows it: the rules about it are silent then. */
  readonly kms: Address | undefined;
  /** From the history, where it was read. */
  readonly lists?:
    | { readonly composeHashes: readonly ComposeHash[]; readonly devices: readonly DeviceId[] }
    | undefined;
  /** Already read, to spare reading it again. */
  readonly status?: ReadAppStatusReturnType | undefined;
}

export interface GatherLintSubjectReturnType {
  readonly subject: LintSubject;
  /** The app and, where one is known, its KMS. */
  readonly contracts: readonly JudgedContract[];
}

/** What the linter can know from the chain. @throws InvalidArgumentError if the KMS is none, what readAppStatus throws */
export async function gatherLintSubject(
  client: ChainClient,
  { appId, kms, lists, ...parameters }: GatherLintSubjectParameters,
): Promise<GatherLintSubjectReturnType> {
  const status = parameters.status ?? (await readAppStatus(client, { appId }));
  const { blockNumber } = status;
  const contracts: JudgedContract[] = [];
  if (status.kind === "app") contracts.push({ role: "app", address: appId, generation: status.generation });
  if (kms !== undefined) contracts.push({ role: "KMS", address: kms, generation: await requireDstackKms(client, kms) });
  const implementation = kms === undefined ? undefined : await readAppImplementation(client, { kms, blockNumber });
  const app: AppFacts = {
    appId,
    hasCode: status.kind !== "noCode",
    isKms: status.kind === "kms",
    policy: status.kind === "app" ? { ...status, ...lists } : undefined,
  };
  const subject = { app, ...(kms !== undefined && { kms: { address: kms, appImplementation: implementation } }) };
  return { subject, contracts };
}
