import { encodeFunctionData } from "viem";
import type { ComposeHash } from "../../../src/core/ids.ts";
import { dstackAppAbi } from "../../../src/generated/abi.ts";
import {
  addReplica,
  allow,
  allowFillers,
  fillerHash,
  type PreparedUpdate,
  type PruneWorld,
  prepareUpdate,
} from "./prune-world.ts";

/** An app as it looks after a year: 60 hashes, most of them not used any more. */
export interface PruneScenario {
  /** The hash of the app's first CVM. */
  readonly first: ComposeHash;
  /** The hashes of three replicas, each with a document of its own. */
  readonly replicas: readonly ComposeHash[];
  /** Registered, and not committed. */
  readonly prepared: PreparedUpdate;
  readonly queued: ComposeHash;
  /** A Transaction Builder file that names `queued`. */
  readonly safeFile: string;
  readonly pinned: ComposeHash;
  /** Hashes that no CVM uses, the oldest first. */
  readonly fillers: readonly ComposeHash[];
  /** All of the above. */
  readonly all: readonly ComposeHash[];
}

export async function buildScenario(world: PruneWorld): Promise<PruneScenario> {
  const replicas: ComposeHash[] = [];
  for (const tag of ["1.25", "1.26", "1.27"]) replicas.push(await addReplica(world, tag));
  const prepared = await prepareUpdate(world, "1.29");
  await allow(world, prepared.composeHash);
  const [queued, pinned] = [fillerHash("queued"), fillerHash("pinned")];
  await allow(world, queued);
  await allow(world, pinned);
  const fillers = await allowFillers(world, 53);
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName: "addComposeHash", args: [queued] });
  const transactions = [{ to: world.appId, value: "0", data }];
  return {
    first: world.firstHash,
    replicas,
    prepared,
    queued,
    safeFile: JSON.stringify({ version: "1.0", chainId: "8453", transactions }),
    pinned,
    fillers,
    all: [world.firstHash, ...replicas, prepared.composeHash, queued, pinned, ...fillers],
  };
}
