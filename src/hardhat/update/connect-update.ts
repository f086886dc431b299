import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Account, createClient, custom } from "viem";
import type { ChainClient } from "../../chain/chain-client.ts";
import { readOwnership } from "../../chain/read-ownership.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import { getComposeFile } from "../../cloud/get-compose-file.ts";
import { getCvm } from "../../cloud/get-cvm.ts";
import { changeAppCompose } from "../../core/app-compose.ts";
import type { JudgedContract } from "../../core/key-epochs.ts";
import { parseAccepted } from "../../core/lint/require-clean.ts";
import { SignerRequiredError } from "../../errors/index.ts";
import { allowedEnvsOf } from "../../update/steps/build-document.ts";
import type { UpdateRequest } from "../../update/update-run.ts";
import { type ConnectedApp, connectApp } from "../connect/connect-app.ts";
import { connectCloud, requireCloud } from "../connect/connect-cloud.ts";
import type { TaskIo } from "../connect/run-task.ts";
import { lintBeforeWrite } from "../lint/lint-before-write.ts";

export interface ConnectedUpdate {
  readonly cloud: CloudClient;
  readonly chain: ChainClient;
  /** Undefined if there is no key: some updates need no transaction. */
  readonly account: Account | undefined;
  readonly acceptKeyEpochs: boolean;
  /** The app and its KMS; none where the KMS keeps its policy off chain. */
  readonly contracts: readonly JudgedContract[];
}

/**
 * Connects the cloud, the chain of the CVM's app and its owner's key, and lints what the update will ask for. A CVM
 * whose KMS keeps its policy off chain needs neither chain nor key.
 *
 * @throws InvalidArgumentError, LintRefusedError, KeyEpochsError, CloudError, ChainError
 */
export async function connectUpdate(
  io: TaskIo,
  hre: HardhatRuntimeEnvironment,
  { request, accept }: { readonly request: UpdateRequest; readonly accept: string | undefined },
): Promise<ConnectedUpdate> {
  const cloud = requireCloud(await connectCloud(hre), "for the update");
  const { kmsContractAddress } = await getCvm(cloud, { cvm: request.cvm });
  if (kmsContractAddress === undefined)
    return { cloud, chain: noChain(), account: undefined, acceptKeyEpochs: false, contracts: [] };
  const app = await connectApp({ cvm: request.cvm }, hre);
  const current = await getComposeFile(cloud, { cvm: request.cvm });
  const document = changeAppCompose(current, { ...request, allowedEnvs: allowedEnvsOf(request) });
  const { contracts } = await lintBeforeWrite(io, app, { accept, document });
  const acceptKeyEpochs = parseAccepted(accept).has("key-epochs");
  return { cloud, chain: app.client, account: await findSigner(app), acceptKeyEpochs, contracts };
}

async function findSigner({ client, appId, signer }: ConnectedApp): Promise<Account | undefined> {
  const { owner } = await readOwnership(client, { appId });
  try {
    return await signer("addComposeHash", owner);
  } catch (error) {
    if (error instanceof SignerRequiredError) return undefined;
    throw error;
  }
}

function noChain(): ChainClient {
  const request = () => Promise.reject(new Error("This CVM has no contract on a chain."));
  return createClient({ transport: custom({ request }, { retryCount: 0 }) });
}
