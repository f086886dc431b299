import "../type-extensions.ts";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Account, Address } from "viem";
import { requireChain } from "../../chain/client.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import { type ConnectedChain, connectChain } from "./connect-chain.ts";
import { connectCloud } from "./connect-cloud.ts";
import { readSigner } from "./read-signer.ts";
import { type AppArguments, type AppTarget, resolveApp } from "./resolve-app.ts";
import { readConfiguredKms } from "./resolve-kms.ts";

export interface ConnectedApp extends ConnectedChain, AppTarget {
  readonly chainId: number;
  readonly network: string;
  /** Of the configuration. */
  readonly configuredKms: Address | undefined;
  /** Undefined without an API key. */
  readonly cloud: CloudClient | undefined;
  /** The account that pays, by preference the wanted one. Asked for only now: reading needs no key. */
  readonly signer: (purpose: string, wanted?: Address) => Promise<Account>;
}

/**
 * Everything a command about one app begins with: the app, its chain and, where a key is configured, the cloud.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError, WrongChainError, RpcUnavailableError
 */
export async function connectApp(args: AppArguments, hre: HardhatRuntimeEnvironment): Promise<ConnectedApp> {
  const cloud = await connectCloud(hre);
  const app = await resolveApp(args, { apps: hre.config.dstack.apps, cloud });
  const chain = await connectChain(hre, app.network);
  if (app.chainId !== undefined) await requireChain(chain.client, app.chainId);
  return {
    ...app,
    ...chain,
    configuredKms: await readConfiguredKms(hre.config),
    cloud,
    signer: (purpose, wanted) => readSigner(hre, { chain, wanted, purpose }),
  };
}
