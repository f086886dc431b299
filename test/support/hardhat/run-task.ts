import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { HardhatUserConfig } from "hardhat/types/config";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import dstack from "../../../src/hardhat/index.ts";
import type { DstackUserConfig } from "../../../src/hardhat/type-extensions.ts";
import { devPrivateKey } from "../../../src/world/chain/client.ts";
import type { World } from "../../../src/world/start-world.ts";

export interface TaskRun {
  readonly exitCode: unknown;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as the one JSON object it must be. */
  json<Result>(): Result;
}

/** The folder of the projects, one for each test process, because tests of several processes run at the same time. */
let projectRoot: string | undefined;

function openProjectRoot(): string {
  if (projectRoot !== undefined) return projectRoot;
  const root = mkdtempSync(join(tmpdir(), "dstack-project-"));
  writeFileSync(join(root, "package.json"), "{}");
  process.once("exit", () => rmSync(root, { recursive: true, force: true }));
  projectRoot = root;
  return root;
}

/** What a project needs to know of a world. A test may run another chain. */
export interface WorldOfProject extends Pick<World, "apiKey"> {
  readonly chain: Pick<World["chain"], "id" | "rpcUrl">;
  readonly cloud: Pick<World["cloud"], "baseUrl">;
}

/** A project with nothing but the plugin, whose network `world` is the world's chain and whose cloud is the world's. */
export function projectOf(
  world: WorldOfProject,
  dstackConfig: DstackUserConfig = {},
  config: HardhatUserConfig = {},
  /** As `--network` would be given. */
  globalOptions: { readonly network?: string } = { network: "world" },
  root = openProjectRoot(),
): Promise<HardhatRuntimeEnvironment> {
  return createHardhatRuntimeEnvironment(
    {
      plugins: [dstack],
      networks: { world: { type: "http", chainType: "op", chainId: world.chain.id, url: world.chain.rpcUrl } },
      dstack: {
        ownerKey: devPrivateKey(0),
        cloud: { baseUrl: world.cloud.baseUrl, apiKey: world.apiKey },
        ...dstackConfig,
      },
      ...config,
    },
    globalOptions,
    root,
  );
}

/** A terminal so wide that no line is broken. */
const wide = 100_000;

/**
 * Runs one task as the command line would, in this process.
 *
 * @param columns width of the terminal
 */
export async function runTask(
  hre: HardhatRuntimeEnvironment,
  task: readonly string[],
  args: Record<string, unknown> = {},
  { columns = wide }: { readonly columns?: number } = {},
): Promise<TaskRun> {
  const written = { stdout: "", stderr: "" };
  const write = { stdout: process.stdout.write, stderr: process.stderr.write };
  const columnsBefore = { stdout: process.stdout.columns, stderr: process.stderr.columns };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].columns = columns;
    process[name].write = (chunk: unknown) => {
      written[name] += String(chunk);
      return true;
    };
  }
  try {
    const exitCode = await hre.tasks.getTask(["dstack", ...task]).run({ ...args });
    return { exitCode, ...written, json: () => parseOne(written.stdout) };
  } finally {
    process.stdout.write = write.stdout;
    process.stderr.write = write.stderr;
    process.stdout.columns = columnsBefore.stdout;
    process.stderr.columns = columnsBefore.stderr;
    process.exitCode = undefined;
  }
}

function parseOne<Result>(stdout: string): Result {
  if (!/^[^\n]+\n$/.test(stdout)) throw new Error(`Standard output is not one line: ${stdout}`);
  return JSON.parse(stdout);
}
