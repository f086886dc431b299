import { type Address, isAddressEqual, zeroAddress } from "viem";
import { getBalance, getTransactionCount } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { readContractKind, readOwnership } from "../chain/read-app.ts";
import { readAppImplementation } from "../chain/read-kms.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { deterministicDeployer } from "../core/batch-executor.ts";
import { parseAppId } from "../core/ids.ts";
import { isKeyless } from "../core/lint/app-rules.ts";
import { mapLimited } from "../core/map-limited.ts";
import { multiSendCallOnlyAddresses, safeDeployments, safeSingletons } from "../core/safe-deployments.ts";
import { implementationSlot } from "../core/upgrade-rules.ts";
import {
  abilityOfSafe,
  abilityOfTimelock,
  type ExaminedAccount,
  isOpen,
  type OwnerContractRole,
  type OwnerExamination,
} from "./examined-owner.ts";
import { judgeOwner } from "./owner-rules.ts";
import { canMakeCalls, readAddressAt, readSafePowers, readTimelockPowers } from "./read-powers.ts";

export interface ExamineOwnerParameters {
  /** The app or the KMS whose ownership is to be transferred. */
  readonly contract: Address;
  readonly newOwner: Address;
  /** The app's KMS, if it is known. */
  readonly kms?: Address | undefined;
  /** @default the latest block */
  readonly blockNumber?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Examines the proposed owner of an app or a KMS, at one block: what it is on this chain, and whether it can make the
 * calls of an owner. Follows the owners of a Safe and the accounts with a role in a timelock. A contract can answer like
 * a Safe or a timelock without being one, so only a rehearsal proves that a contract can act.
 *
 * @throws NoContractError, ContractRevertedError if `contract` has no owner
 * @throws RpcUnavailableError, the signal's reason
 */
export async function examineOwner(
  client: ChainClient,
  { contract, newOwner, kms, signal, ...at }: ExamineOwnerParameters,
): Promise<OwnerExamination> {
  const { blockNumber, owner, isTwoStep } = await readOwnership(client, { appId: parseAppId(contract), ...at });
  const { isKms } = await readContractKind(client, { address: contract, blockNumber });
  const factory = kms ?? (isKms ? contract : undefined);
  const implementations = await Promise.all([
    readAddressAt(client, { address: contract, slot: implementationSlot, blockNumber }),
    factory === undefined ? undefined : readAppImplementation(client, { kms: factory, blockNumber }),
  ]);
  const context: Context = {
    ...{ client, blockNumber, signal, budget: { left: mostAccounts } },
    roles: [
      ["target", [contract]],
      ["kms", kms === undefined ? [] : [kms]],
      ["implementation", implementations.flatMap((one) => (one === undefined || one === zeroAddress ? [] : [one]))],
      ["open", openContracts],
      ["shared", sharedContracts],
    ],
  };
  const facts = { contract, blockNumber, owner, isTwoStep, newOwner: await examine(context, newOwner, []) };
  return { ...facts, findings: judgeOwner(facts) };
}

const openContracts: readonly Address[] = ["0xcA11bde05977b3631167028862bE2a173976CA11", ...multiSendCallOnlyAddresses];
const sharedContracts: readonly Address[] = [
  deterministicDeployer,
  ...safeSingletons,
  ...Object.values(safeDeployments).flatMap((release): Address[] => Object.values(release)),
];

interface Context {
  readonly client: ChainClient;
  readonly blockNumber: bigint;
  readonly signal: AbortSignal | undefined;
  /** What is known of an address before it is read. */
  readonly roles: readonly (readonly [OwnerContractRole, readonly Address[]])[];
  /** Number of accounts that may still be read: a contract chooses how many owners it names. */
  readonly budget: { left: number };
}

const mostAccounts = 64;
/** Such as a timelock, a Safe that proposes in it, a Safe that is an owner of that Safe, and its owner. */
const mostLevels = 4;
const requestsAtOnce = 8;

/** @param path the accounts for which this one acts, outermost first */
async function examine(context: Context, address: Address, path: readonly Address[]): Promise<ExaminedAccount> {
  const { client, blockNumber, signal, budget, roles } = context;
  signal?.throwIfAborted();
  const isThis = (other: Address) => isAddressEqual(other, address);
  const [role] = roles.find(([, addresses]) => addresses.some(isThis)) ?? [];
  if (role !== undefined) return { address, kind: "contract", role, ability: role === "open" ? "able" : "unable" };
  if (path.some(isThis)) return { address, kind: "unread", why: "circular", ability: "unable" };
  if (path.length >= mostLevels || budget.left === 0)
    return { address, kind: "unread", why: "limit", ability: "unknown" };
  budget.left -= 1;
  const owner = await readOwner(client, { address, blockNumber });
  const examineAll = (accounts: readonly Address[]) =>
    mapLimited(accounts, (one) => examine(context, one, [...path, address]), { limit: requestsAtOnce });
  switch (owner.kind) {
    case "renounced":
      return { address, kind: "renounced", ability: "unable" };
    case "eoa":
      return examineKey(context, owner);
    case "safe": {
      const { version, threshold, nonce } = owner;
      const powers = await readSafePowers(client, { address, blockNumber });
      const facts = { version, threshold, nonce, ...powers, owners: await examineAll(owner.owners) };
      return { address, kind: "safe", ...facts, ability: abilityOfSafe(facts) };
    }
    case "timelock": {
      const { minDelaySeconds } = owner;
      const powers = await readTimelockPowers(client, { address, blockNumber, minDelaySeconds, signal });
      const proposers = powers.proposers && (await examineAll(powers.proposers));
      const executors = powers.executors && (await examineAll(powers.executors));
      const isProposerOpen = powers.isProposerOpen || proposers?.some(isOpen) === true;
      const facts = { minDelaySeconds, ...powers, proposers, executors, isProposerOpen };
      return { address, kind: "timelock", ...facts, ability: abilityOfTimelock(facts) };
    }
    case "contract":
      return examineContract(context, address);
  }
}

async function examineKey(
  { client, blockNumber }: Context,
  { address, delegatedTo }: Extract<ReadOwnerReturnType, { kind: "eoa" }>,
): Promise<ExaminedAccount> {
  const [nonce, balanceWei] = await withRpcErrors(client, "reading the account", () =>
    Promise.all([getTransactionCount(client, { address, blockNumber }), getBalance(client, { address, blockNumber })]),
  );
  // A delegation is signed by the key, whichever account pays for it.
  const hasSigned = nonce > 0 || delegatedTo !== undefined;
  const ability = isKeyless(address) ? "unable" : hasSigned ? "able" : "unknown";
  return { address, kind: "eoa", nonce, balanceWei, delegatedTo, ability };
}

async function examineContract({ client, blockNumber }: Context, address: Address): Promise<ExaminedAccount> {
  const [{ isApp, isKms }, code] = await Promise.all([
    readContractKind(client, { address, blockNumber }),
    readCode(client, { address, blockNumber }),
  ]);
  if (isKms || isApp) return { address, kind: "contract", role: isKms ? "kms" : "app", ability: "unable" };
  return canMakeCalls(code)
    ? { address, kind: "contract", role: "unknown", ability: "unknown" }
    : { address, kind: "contract", role: "cannotCall", ability: "unable" };
}
