import {
  type Address,
  decodeAbiParameters,
  decodeFunctionResult,
  encodeFunctionData,
  getAddress,
  type Hex,
  hexToBytes,
  isAddressEqual,
  keccak256,
  numberToHex,
  pad,
  parseAbi,
  slice,
  stringToHex,
  zeroAddress,
  zeroHash,
} from "viem";
import { callMany, ethCall } from "../chain/calls.ts";
import type { ChainClient } from "../chain/client.ts";
import { requestHex } from "../chain/rpc-errors.ts";
import { safeSingletons } from "../core/safe-deployments.ts";
import { noPredecessor, timelockAbi } from "../core/timelock-calls.ts";
import { readRoleHolders } from "./timelock-execute.ts";
import { timelockRoles } from "./timelock-operation.ts";

/** What can act for a Safe besides its owners, and what its code is. */
export interface SafePowers {
  /** They act for the Safe without signatures. Undefined if the Safe lists none readably, or too many. */
  readonly modules: readonly Address[] | undefined;
  /** It can refuse the Safe's transactions. Undefined if there is none. */
  readonly guard: Address | undefined;
  /** Whether its proxy names a contract that Safe has published as its code. */
  readonly isPublished: boolean;
}

interface At {
  readonly address: Address;
  readonly blockNumber: bigint;
}

const safeAbi = parseAbi([
  "function getModulesPaginated(address start, uint256 pageSize) view returns (address[] array, address next)",
]);
/** The first and the last entry of a Safe's linked lists. */
const sentinel = pad("0x01", { size: 20 });
const mostModules = 20n;
/** A Safe's proxy stores the address of its code in the first slot. */
const singletonSlot = zeroHash;
const guardSlot = keccak256(stringToHex("guard_manager.guard.address"));

/** @throws RpcUnavailableError */
export async function readSafePowers(client: ChainClient, { address, blockNumber }: At): Promise<SafePowers> {
  const data = encodeFunctionData({ abi: safeAbi, functionName: "getModulesPaginated", args: [sentinel, mostModules] });
  const [page, guard, singleton] = await Promise.all([
    ethCall(client, { to: address, data, blockNumber, abi: safeAbi, doing: "reading the Safe's modules" }),
    readAddressAt(client, { address, blockNumber, slot: guardSlot }),
    readAddressAt(client, { address, blockNumber, slot: singletonSlot }),
  ]);
  const isPublished = safeSingletons.some((one) => singleton !== undefined && isAddressEqual(one, singleton));
  return { modules: decodeModules(page.data), guard, isPublished };
}

function decodeModules(data: Hex = "0x"): readonly Address[] | undefined {
  try {
    const [modules, next] = decodeAbiParameters([{ type: "address[]" }, { type: "address" }], data);
    return isAddressEqual(next, sentinel) || isAddressEqual(next, zeroAddress) ? modules : undefined;
  } catch {
    return undefined;
  }
}

/** Who acts in a timelock. The lists are undefined if the endpoint does not serve the timelock's logs. */
export interface TimelockPowers {
  readonly proposers: readonly Address[] | undefined;
  /** Empty if every account can execute. */
  readonly executors: readonly Address[] | undefined;
  /** Other accounts than the timelock itself that can give its roles, without its delay. */
  readonly admins: readonly Address[] | undefined;
  /** Whether an account without any role can propose. */
  readonly isProposerOpen: boolean;
  /** Whether every account can execute. */
  readonly isExecutorOpen: boolean;
}

/** The role that gives the others: in OpenZeppelin 5, and in OpenZeppelin 3 and 4. */
const adminRoles = [zeroHash, keccak256(stringToHex("TIMELOCK_ADMIN_ROLE"))] as const;
/** An address without a key or a role. */
const stranger = getAddress(slice(keccak256(stringToHex("dstack-toolkit: an account without a role")), 12));

/** @throws RpcUnavailableError, the signal's reason */
export async function readTimelockPowers(
  client: ChainClient,
  {
    address: timelock,
    blockNumber,
    minDelaySeconds,
    signal,
  }: At & { readonly minDelaySeconds: bigint; readonly signal: AbortSignal | undefined },
): Promise<TimelockPowers> {
  // Releases before 4.0 let every account propose if the zero address has the role; later ones do not. A call shows it.
  const data = encodeFunctionData({
    abi: timelockAbi,
    functionName: "schedule",
    args: [timelock, 0n, "0x", noPredecessor, keccak256(stranger), minDelaySeconds],
  });
  const doing = "reading who may propose in the timelock";
  const [proposal, holders] = await Promise.all([
    ethCall(client, { to: timelock, from: stranger, data, blockNumber, abi: timelockAbi, doing }),
    readRoleHolders(client, { timelock, toBlock: blockNumber, signal }),
  ]);
  signal?.throwIfAborted();
  const accounts = holders?.map(({ account }) => account).filter((one) => one !== zeroAddress);
  const named = (right: "canPropose" | "canExecute") =>
    holders?.filter((one) => one[right] && one.account !== zeroAddress).map(({ account }) => account);
  const others = (accounts ?? []).filter((one) => !isAddressEqual(one, timelock));
  const [isExecutorOpen = false, ...areAdmins] = await readRoleFlags(client, {
    ...{ address: timelock, blockNumber },
    questions: [
      [timelockRoles.executor, zeroAddress],
      ...others.flatMap((account) => adminRoles.map((role): RoleQuestion => [role, account])),
    ],
  });
  const isAdmin = (_: Address, index: number) =>
    adminRoles.some((__, role) => areAdmins[index * adminRoles.length + role]);
  return {
    ...{ proposers: named("canPropose"), executors: isExecutorOpen ? [] : named("canExecute"), isExecutorOpen },
    admins: accounts && others.filter(isAdmin),
    isProposerOpen: proposal.data !== undefined,
  };
}

type RoleQuestion = readonly [role: Hex, account: Address];

/** Whether each account has the role. False if the timelock gives no readable answer. */
async function readRoleFlags(
  client: ChainClient,
  { address, blockNumber, questions }: At & { readonly questions: readonly RoleQuestion[] },
): Promise<readonly boolean[]> {
  const { answers } = await callMany(client, {
    ...{ to: address, abi: timelockAbi, blockNumber, doing: "reading the timelock's roles" },
    calls: questions.map((args) => encodeFunctionData({ abi: timelockAbi, functionName: "hasRole", args })),
  });
  return answers.map((data) => {
    try {
      return decodeFunctionResult({ abi: timelockAbi, functionName: "hasRole", data: data ?? "0x" });
    } catch {
      return false;
    }
  });
}

/** The address in a storage slot. Undefined if the slot is empty. @throws RpcUnavailableError */
export async function readAddressAt(
  client: ChainClient,
  { address, blockNumber, slot }: At & { readonly slot: Hex },
): Promise<Address | undefined> {
  const word = await requestHex(client, `reading the storage of ${address}`, {
    method: "eth_getStorageAt",
    params: [address, slot, numberToHex(blockNumber)],
  });
  const stored = getAddress(slice(pad(word), -20));
  return stored === zeroAddress ? undefined : stored;
}

/** CALL, CALLCODE and DELEGATECALL. STATICCALL changes nothing. */
const callingOpcodes: ReadonlySet<number> = new Set([0xf1, 0xf2, 0xf4]);
const push1 = 0x60;
const push32 = 0x7f;

/**
 * Whether code has an instruction that can call another contract and change it. Without one, the contract can never make
 * an owner's call. With one, it is not known.
 */
export function canMakeCalls(code: Hex): boolean {
  const bytes = hexToBytes(code);
  // The data of a PUSH is never executed: a jump to it is invalid.
  for (let at = 0; at < bytes.length; at += 1) {
    const opcode = bytes[at] ?? 0;
    if (callingOpcodes.has(opcode)) return true;
    if (opcode >= push1 && opcode <= push32) at += opcode - push1 + 1;
  }
  return false;
}
