// Deploys DstackKms and the DstackApp implementation with Ignition:
//
//   npm run deploy -- --network base [--owner 0x…]
//
// Ignition keeps its journal under ignition/deployments. An interrupted deployment continues where it stopped. What it
// records is read from the chain afterwards.
import { join } from "node:path";
import { parseArgs } from "node:util";
import hre from "hardhat";
import type { EIP1193Provider } from "hardhat/types/providers";
import { type Address, createClient, custom, type Transport } from "viem";
import dstackKmsModule from "../ignition/modules/dstack-kms.ts";
import { parseAddress, requireChain } from "../src/chain/client.ts";
import { httpEndpoint } from "../src/chain/endpoint.ts";
import { withRpcErrors } from "../src/chain/rpc-errors.ts";
import { InvalidArgumentError, SignerRequiredError } from "../src/errors/index.ts";
import { exitWith } from "../src/output/exit-with.ts";
import { confirmDeployment, deploymentIdOf, requireDeploymentFunds } from "./support/check-deployment.ts";
import { guardDeployment } from "./support/guard-deployment.ts";

const usage = "Usage: npm run deploy -- --network NAME [--owner ADDRESS] [--deployment-id ID] [--no-compile]";

try {
  const { network, owner, "deployment-id": namedId, "no-compile": noCompile } = parseOptions(process.argv.slice(2));
  if (network === undefined) throw new InvalidArgumentError("--network is missing.", { nextStep: usage });
  if (hre.config.networks[network] === undefined) {
    throw new InvalidArgumentError(`hardhat.config.ts has no network named ${network}.`, { nextStep: usage });
  }
  if (!noCompile) await hre.tasks.getTask("build").run({ quiet: true });
  const newOwner = owner === undefined ? undefined : parseAddress("The owner's address", owner);
  guardDeployment(hre);
  const connection = await hre.network.create(network);
  try {
    const client = createClient({ transport: await transportOf(network, connection.provider) });
    const chainId = await requireChain(client);
    const deploymentId = namedId ?? (await deploymentIdOf(client, network, chainId));
    const [deployer] = await withRpcErrors(client, "asking for its accounts", () => readAccounts(connection.provider));
    if (deployer === undefined) throw new SignerRequiredError(["the deployment"]);
    const folder = join(hre.config.paths.root, "ignition", "deployments", deploymentId);
    await requireDeploymentFunds(client, { deployer, folder });
    const { kms, appImplementation } = await connection.ignition.deploy(dstackKmsModule, {
      displayUi: true,
      deploymentId,
      ...(newOwner !== undefined && { parameters: { DstackKms: { owner: newOwner } } }),
    });
    const deployed = { kms: kms.address, appImplementation: appImplementation.address };
    await confirmDeployment(client, { ...deployed, owner: newOwner ?? deployer, deploymentId });
    console.log(`DstackKms                  ${kms.address}`);
    console.log(`DstackApp implementation   ${appImplementation.address}`);
  } finally {
    await connection.close();
  }
} catch (error) {
  process.exitCode = exitWith(error, process.stderr);
}

/** Reads go to the endpoint itself: Hardhat's provider would change them. */
async function transportOf(network: string, provider: EIP1193Provider): Promise<Transport> {
  const config = hre.config.networks[network];
  return config?.type === "http" ? httpEndpoint(await config.url.getUrl()) : custom(provider, { retryCount: 0 });
}

async function readAccounts(provider: EIP1193Provider): Promise<readonly Address[]> {
  return (await provider.request({ method: "eth_accounts" })) as readonly Address[]; // of the configuration
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
