import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestClient, http, parseGwei } from "viem";
import { base } from "viem/chains";
import { filesBelow, root } from "../../../scripts/support/paths.ts";
import { type CloudClient, createCloudClient } from "../../../src/cloud/create-client.ts";
import type { RunningMockCloud } from "../../../src/mock-cloud/index.ts";
import { createLocalChainClient, type LocalChainClient } from "../../../src/world/chain/client.ts";
import { syncClock } from "../../../src/world/start-cloud.ts";
import { Teardown } from "../../../src/world/teardown.ts";
import { startAnvil } from "../chain/anvil.ts";
import { rewriteRpc } from "../world/rewriting-rpc.ts";
import { ChainBuilder, type Platform, readBytecodes } from "./build-chain.ts";
import { apiKey, buildApps, startUpstreamCloud, type UpstreamApp } from "./build-cloud.ts";
import type { AppName } from "./cases.ts";

/** A chain of another engine than a world's, with years of history and the apps of `appCases`, and their cloud. */
export interface Upstream extends Platform {
  readonly chain: { readonly id: number; readonly rpcUrl: string; readonly client: LocalChainClient };
  /**
   * The same chain for forks. anvil leaves the extra data of a header empty. Base keeps its fee parameters there since
   * Holocene, and a fork without them has older rules, without EIP-7702.
   */
  readonly forkUrl: string;
  readonly apps: Readonly<Record<AppName, UpstreamApp>>;
  readonly cloud: RunningMockCloud;
  readonly cloudClient: CloudClient;
  readonly apiKey: string;
  /** Keeps the state of chain and cloud. Returns the snapshot's name. */
  snapshot(): Promise<string>;
  restore(name: string): Promise<void>;
  /** Moves the time of chain and cloud. */
  advance(seconds: number): Promise<void>;
  /** Stops the node and keeps the cloud: what was recorded must be enough. */
  stopChain(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts the upstream. It is built once for each version of what it is made of; later starts load it, and then a block
 * of the present time follows, because the history ends when it was built.
 */
export async function startUpstream(): Promise<Upstream> {
  const built = await buildOnce();
  const teardown = new Teardown();
  try {
    const folder = mkdtempSync(join(tmpdir(), "dstack-upstream-"));
    teardown.add(() => rmSync(folder, { recursive: true, force: true }));
    const { kms, owners, apps } = JSON.parse(readFileSync(join(built, "upstream.json"), "utf8")) as Built;
    const anvil = await startAnvil(base.id, ["--load-state", join(built, files.chain)]);
    let isRunning = true;
    const stopChain = async () => {
      if (isRunning) await anvil.stop();
      isRunning = false;
    };
    teardown.add(stopChain);
    const { rpcUrl } = anvil;
    const node = createTestClient({ chain: base, mode: "anvil", transport: http(rpcUrl) });
    await node.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei("0.005") });
    await node.setNextBlockTimestamp({ timestamp: BigInt(Math.floor(Date.now() / 1000)) });
    await node.mine({ blocks: 1 });
    const forked = await rewriteRpc(rpcUrl, withFeeParameters);
    teardown.add(() => forked.close());
    const stateFile = join(folder, files.cloud);
    copyFileSync(join(built, files.cloud), stateFile);
    const client = createLocalChainClient(rpcUrl, base);
    const cloud = await startUpstreamCloud({ kms, rpcUrl, stateFile, hooks: syncClock(client, {}) });
    teardown.add(() => cloud.close());
    return {
      ...{ kms, owners, apps, cloud, apiKey, stopChain, forkUrl: forked.url },
      chain: { id: base.id, rpcUrl, client },
      cloudClient: createCloudClient({ apiKey, baseUrl: cloud.baseUrl }),
      snapshot: () => cloud.snapshot(),
      restore: (name) => cloud.restore(name),
      advance: (seconds) => cloud.advance(seconds * 1000),
      close: () => teardown.run(),
    };
  } catch (error) {
    throw await teardown.after(error);
  }
}

/** Those of Base: a denominator of 250 and an elasticity of 6. */
const feeParameters = "0x00000000fa00000006";

function withFeeParameters(_method: string, result: unknown): unknown {
  const isBlock = typeof result === "object" && result !== null && "extraData" in result;
  return isBlock ? { ...result, extraData: feeParameters } : result;
}

const files = { chain: "chain.json", cloud: "cloud.sqlite" } as const;
interface Built extends Platform {
  readonly apps: Record<AppName, UpstreamApp>;
}

/** Seconds in a day: one block each, so that some hundred blocks last for years. */
const aDay = 86_400;
const years = 3;

/** The folder of the built upstream. It moves into place when it is complete. */
async function buildOnce(): Promise<string> {
  const folder = join(root, "cache", `upstream-${await digestOfInputs()}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  try {
    await build(unfinished);
    renameSync(unfinished, folder);
  } catch (error) {
    // A rename fails if another process was faster.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return folder;
}

async function build(folder: string): Promise<void> {
  const genesis = Math.floor(Date.now() / 1000) - years * 365 * aDay;
  const state = ["--dump-state", join(folder, files.chain), "--auto-impersonate"];
  const free = ["--base-fee", "0", "--gas-price", "0"];
  const anvil = await startAnvil(base.id, ["--timestamp", `${genesis}`, ...state, ...free]);
  try {
    const { rpcUrl } = anvil;
    const chain = new ChainBuilder(rpcUrl);
    const platform = await chain.deployPlatform(aDay);
    const cloud = await startUpstreamCloud({ ...platform, rpcUrl, stateFile: join(folder, files.cloud) });
    try {
      for (const kms of Object.values(platform.kms)) await chain.publishKmsKey(platform, kms, cloud.kmsPublicKey(kms));
      const apps = await buildApps(chain, platform, cloud);
      await chain.forgetPastImage(platform);
      const built: Built = { ...platform, apps };
      writeFileSync(join(folder, "upstream.json"), JSON.stringify(built));
    } finally {
      await cloud.close();
    }
  } finally {
    await anvil.stop();
  }
}

/** Of everything that decides how the upstream is built: these files, the contracts, the node, and the cloud's tables. */
async function digestOfInputs(): Promise<string> {
  const inputs = [
    ...filesBelow("test/support/upstream", ".ts"),
    "scripts/pins/anvil/package-lock.json",
    "src/mock-cloud/store/migrations.ts",
  ];
  const hash = createHash("sha256");
  for (const path of inputs) hash.update(readFileSync(join(root, path)));
  for (const bytecode of await readBytecodes()) hash.update(bytecode);
  return hash.digest("hex").slice(0, 16);
}
