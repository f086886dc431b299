import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hex } from "viem";
import { fetchPinned } from "../../scripts/npm.mjs";
import { root } from "../../scripts/support/paths.ts";
import { runCommand } from "../../scripts/support/run-command.ts";
import type { AppId, ComposeHash } from "../../src/core/ids.ts";

const script = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

interface Vm {
    function envAddress(string calldata name) external view returns (address);
    function envBytes32(string calldata name) external view returns (bytes32);
    function startBroadcast() external;
    function stopBroadcast() external;
}

interface App {
    function removeComposeHash(bytes32 composeHash) external;
}

contract RemoveComposeHash {
    bool public constant IS_SCRIPT = true;
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function run() external {
        vm.startBroadcast();
        App(vm.envAddress("APP")).removeComposeHash(vm.envBytes32("COMPOSE_HASH"));
        vm.stopBroadcast();
    }
}
`;

export interface ForgePerHash {
  /** Runs one process that removes one hash and waits until it is mined. */
  remove(appId: AppId, composeHash: ComposeHash, privateKey: Hex): Promise<void>;
  close(): Promise<void>;
}

/** A project that contains only the script, compiled before: the measured time is that of the process alone. */
export async function createForgePerHash(rpcUrl: string): Promise<ForgePerHash> {
  const forge = fetchPinned("forge");
  if (forge === undefined) throw new Error("npm could not fetch forge for this platform.");
  const directory = await mkdtemp(join(tmpdir(), "dstack-bench-forge-"));
  await mkdir(join(directory, "script"));
  await writeFile(join(directory, "script", "RemoveComposeHash.s.sol"), script);
  await writeFile(
    join(directory, "foundry.toml"),
    `[profile.default]\nsolc = "${join(root, "scripts", "solc")}"\noffline = true\nevm_version = "cancun"\n`,
  );
  const run = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const outcome = await runCommand({
      command: forge,
      args,
      cwd: directory,
      env: { ...process.env, FOUNDRY_PROFILE: "default", ...env },
      output: "keep",
    });
    if (outcome.code !== 0) throw new Error(`forge ${args[0]} failed: ${outcome.output.slice(-2000)}`);
  };
  await run(["build"]);
  return {
    remove: (appId, composeHash, privateKey) =>
      run(["script", "RemoveComposeHash", "--broadcast", "--rpc-url", rpcUrl, "--private-key", privateKey], {
        APP: appId,
        COMPOSE_HASH: composeHash,
      }),
    close: () => rm(directory, { recursive: true, force: true }),
  };
}
