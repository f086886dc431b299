import { type Address, isAddressEqual } from "viem";
import { readCode } from "../chain/read-code.ts";
import { batchExecutorAddress, deterministicDeployer } from "../core/batch/batch-executor.ts";
import { DelegationUnsupportedError, ForeignDelegationError } from "../errors/index.ts";
import type { BatchMode } from "./batch-result.ts";
import type { BatchRun } from "./batch-run.ts";
import { readDelegation } from "./read-delegation.ts";
import { readHasExecutor, readIsExecutor } from "./read-executor.ts";
import { signerOf } from "./sign-delegation.ts";

export interface ModeChoice {
  readonly mode: BatchMode;
  /** Why, for people. */
  readonly reason: string;
  /** Verified executor; undefined if it has to be deployed first. */
  readonly executor?: Address | undefined;
}

/** From so many calls on, deploying the executor costs less gas than it saves. */
const worthADeployment = 25;

export interface ChooseModeParameters {
  readonly wanted: BatchMode | "auto";
  /** Where the executor is, on a chain without the deterministic-deployment proxy. */
  readonly executor: Address | undefined;
}

/**
 * Decides how to carry the calls out. Asked for one transaction it says why that cannot be; left the choice it falls
 * back to one transaction per call.
 *
 * @throws DelegationUnsupportedError, ForeignDelegationError, ExecutorMismatchError if `7702` was asked for
 * @throws RpcUnavailableError
 */
export async function chooseMode(run: BatchRun, { wanted, executor }: ChooseModeParameters): Promise<ModeChoice> {
  const count = run.left.length;
  if (count === 0) return { mode: "none", reason: "nothing is left to send" };
  if (wanted === "none") return { mode: "none", reason: "one transaction per call was asked for" };
  if (wanted === "7702") {
    return { mode: "7702", reason: "one transaction was asked for", executor: await findExecutor(run, executor) };
  }
  if (count === 1) return { mode: "none", reason: "one call needs no batch" };
  try {
    const found = await findExecutor(run, executor);
    if (found !== undefined) return { mode: "7702", reason: `${count} calls fit one transaction`, executor: found };
  } catch (error) {
    if (!(error instanceof DelegationUnsupportedError || error instanceof ForeignDelegationError)) throw error;
    return { mode: "none", reason: error.message };
  }
  const hasProxy = (await readCode(run.settings.client, { address: deterministicDeployer })) !== "0x";
  if (!hasProxy) return { mode: "none", reason: "the batch executor is not on this chain" };
  return count < worthADeployment
    ? { mode: "none", reason: `for ${count} calls the batch executor is not worth its deployment` }
    : { mode: "7702", reason: `${count} calls are worth deploying the batch executor` };
}

/** The executor the account delegates to, or can delegate to. */
async function findExecutor(run: BatchRun, named: Address | undefined): Promise<Address | undefined> {
  const { client, account } = run.settings;
  if (signerOf(account) === undefined) {
    throw new DelegationUnsupportedError("the key is with the node or a wallet, which signs no authorisations for us");
  }
  const delegation = await readDelegation(client, { address: account.address });
  if (delegation.kind === "contract") throw new DelegationUnsupportedError(`${account.address} is a contract`);
  if (delegation.kind === "delegated") {
    // On a chain without the proxy it may be anywhere: its code decides.
    const isOurs = await readIsExecutor(client, { address: delegation.to });
    if (!isOurs) throw new ForeignDelegationError(account.address, delegation.to);
    return delegation.to;
  }
  const address = named ?? batchExecutorAddress;
  if (await readHasExecutor(client, { address })) return address;
  if (named !== undefined && !isAddressEqual(named, batchExecutorAddress)) {
    throw new DelegationUnsupportedError(`there is no batch executor at ${named}`);
  }
  return undefined;
}
