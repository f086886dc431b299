// Deploys DstackKms and the DstackApp implementation with Ignition:
//
//   npm run deploy -- --network base [--owner 0x…]
//
// Ignition keeps its journal under ignition/deployments. An interrupted deployment continues where it stopped.
import { parseArgs } from "node:util";
import hre from "hardhat";
import dstackKmsModule from "../ignition/modules/dstack-kms.ts";
import { parseFixedHex } from "../src/core/ids.ts";
import { InvalidArgumentError } from "../src/errors/index.ts";
import { exitWith } from "../src/output/exit-with.ts";
import { guardDeployment } from "./support/guard-deployment.ts";

const usage = "Usage: npm run deploy -- --network NAME [--owner ADDRESS] [--deployment-id ID] [--no-compile]";

try {
  const {
    network,
    owner,
    "deployment-id": deploymentId,
    "no-compile": noCompile,
  } = parseOptions(process.argv.slice(2));
  if (network === undefined) throw new InvalidArgumentError("--network is missing.", { nextStep: usage });
  if (hre.config.networks[network] === undefined) {
    throw new InvalidArgumentError(`hardhat.config.ts has no network named ${network}.`, { nextStep: usage });
  }
  if (!noCompile) await hre.tasks.getTask("build").run({ quiet: true });
  guardDeployment(hre);
  const connection = await hre.network.create(network);
  try {
    const { kms, appImplementation } = await connection.ignition.deploy(dstackKmsModule, {
      displayUi: true,
      deploymentId: deploymentId ?? `${network}-dstack-kms`,
      ...(owner !== undefined && {
        parameters: { DstackKms: { owner: parseFixedHex("An owner address", owner, 20) } },
      }),
    });
    console.log(`DstackKms                  ${kms.address}`);
    console.log(`DstackApp implementation   ${appImplementation.address}`);
  } finally {
    await connection.close();
  }
} catch (error) {
  process.exitCode = exitWith(error, process.stderr);
}

function parseOptions(argv: readonly string[]) {
  try {
    const options = {
      network: { type: "string" },
      owner: { type: "string" },
      "deployment-id": { type: "string" },
      "no-compile": { type: "boolean", default: false },
    } as const;
    return parseArgs({ args: [...argv], options }).values;
  } catch (cause) {
    throw new InvalidArgumentError(cause instanceof Error ? cause.message : String(cause), { nextStep: usage, cause });
  }
}
