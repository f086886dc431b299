import { type Address, isAddressEqual } from "viem";
import { findKmsGeneration } from "../chain/read-app.ts";
import { caveatOf, describeGeneration, type Generation, type JudgedContract } from "../core/generation.ts";
import type { Paper } from "../report/output.ts";
import type { ConnectedApp } from "./connect-app.ts";
import { resolveKms } from "./connect-kms.ts";

/**
 * The contracts that decide about an app: the app, whose generation was read with what the task reads of it, and the KMS
 * that the cloud names, and the configuration. A KMS that is not named, or is none, has no generation that could be told.
 *
 * @throws RpcUnavailableError
 */
export async function gatherContracts(app: ConnectedApp, generation: Generation): Promise<readonly JudgedContract[]> {
  const ofApp = { role: "app", address: app.appId, generation } as const;
  const kms = resolveKms({}, app);
  return [ofApp, ...(await judgeKms(app, kms)), ...(await gatherOtherKms(app, kms))];
}

/**
 * The KMS of the configuration, where `kms` is another one: what the cloud names must not hide what the user knows.
 *
 * @throws RpcUnavailableError
 */
export async function gatherOtherKms(app: ConnectedApp, kms: Address | undefined): Promise<readonly JudgedContract[]> {
  const { configuredKms } = app;
  const isSame = kms !== undefined && configuredKms !== undefined && isAddressEqual(kms, configuredKms);
  return isSame ? [] : judgeKms(app, configuredKms);
}

async function judgeKms({ client }: ConnectedApp, kms: Address | undefined): Promise<readonly JudgedContract[]> {
  const generation = kms && (await findKmsGeneration(client, { address: kms }));
  return kms === undefined || generation === undefined ? [] : [{ role: "KMS", address: kms, generation }];
}

/** What every result of a task about an app says of the contracts that decide, for `--json`. */
export interface GenerationReport {
  /** Of the app. */
  readonly generation: Generation | null;
  /** Null where no KMS is named, so that its generation is not known. Of several, of the one with key epochs. */
  readonly kmsGeneration: Generation | null;
  /** What stands beside every list and verdict of contracts with key epochs. */
  readonly caveat: string | null;
}

export function reportGenerations(contracts: readonly JudgedContract[]): GenerationReport {
  const of = (wanted: JudgedContract["role"]) =>
    contracts.filter(({ role }) => role === wanted).map(({ generation }) => generation);
  const [app = null] = of("app");
  const ofKms = of("KMS");
  const kms = ofKms.find(({ hasKeyEpochs }) => hasKeyEpochs !== false) ?? ofKms[0] ?? null;
  return { generation: app, kmsGeneration: kms, caveat: caveatOf(contracts) };
}

/** Says it above what was read or will be sent. Nothing, where the first generation's lists govern. */
export function showCaveat(paper: Pick<Paper, "line">, contracts: readonly JudgedContract[]): void {
  const caveat = caveatOf(contracts);
  if (caveat === null) return;
  for (const { role, generation } of contracts)
    if (generation.hasKeyEpochs !== false) paper.line(`Generation of the ${role}: ${describeGeneration(generation)}`);
  paper.line(`CAUTION: ${caveat}\n`);
}
