import { type Address, isAddressEqual } from "viem";
import { findKmsGeneration } from "../chain/read-app.ts";
import { caveatOf, describeGeneration, type Generation, type JudgedContract } from "../core/generation.ts";
import type { Output } from "../output/output.ts";
import type { ConnectedApp } from "./connect-app.ts";
import { resolveKms } from "./connect-kms.ts";

/**
 * The contracts that decide about an app: the app, and the KMS that the configuration names or, if it names none, the
 * KMS that the cloud names. The caller has already read the app's generation. A KMS that is not named, or is no KMS, is
 * left out.
 *
 * @throws RpcUnavailableError
 */
export async function readJudgedContracts(
  app: ConnectedApp,
  generation: Generation,
): Promise<readonly JudgedContract[]> {
  const ofApp = { role: "app", address: app.appId, generation } as const;
  const kms = resolveKms({}, app);
  return [ofApp, ...(await judgeKms(app, kms)), ...(await readOtherKms(app, kms))];
}

/**
 * The KMS of the configuration, if it differs from `kms`: the KMS that the cloud names must not hide the user's own.
 *
 * @throws RpcUnavailableError
 */
export async function readOtherKms(app: ConnectedApp, kms: Address | undefined): Promise<readonly JudgedContract[]> {
  const { configuredKms } = app;
  const isSame = kms !== undefined && configuredKms !== undefined && isAddressEqual(kms, configuredKms);
  return isSame ? [] : judgeKms(app, configuredKms);
}

async function judgeKms({ client }: ConnectedApp, kms: Address | undefined): Promise<readonly JudgedContract[]> {
  const generation = kms && (await findKmsGeneration(client, { address: kms }));
  return kms === undefined || generation === undefined ? [] : [{ role: "KMS", address: kms, generation }];
}

/** Generations in the `--json` result of every task about an app. */
export interface GenerationReport {
  /** Generation of the app. */
  readonly generation: Generation | null;
  /** Null if no KMS is named, so its generation is unknown. With several KMS, that of the one with key epochs. */
  readonly kmsGeneration: Generation | null;
  /** Warning for every list and verdict of contracts with key epochs. */
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

/** Prints the warning about key epochs above the output. Prints nothing if the lists of the first generation count. */
export function showCaveat(output: Pick<Output, "line">, contracts: readonly JudgedContract[]): void {
  const caveat = caveatOf(contracts);
  if (caveat === null) return;
  for (const { role, generation } of contracts)
    if (generation.hasKeyEpochs !== false) output.line(`Generation of the ${role}: ${describeGeneration(generation)}`);
  output.line(`CAUTION: ${caveat}\n`);
}
