import {
  type Address,
  decodeFunctionData,
  encodeFunctionData,
  getAddress,
  hexToBigInt,
  hexToNumber,
  isAddressEqual,
  parseAbi,
  size,
  slice,
  zeroAddress,
} from "viem";
import type { Hex } from "./ids.ts";
import { decodeOwnerCall, type OwnedContract, type OwnerCall } from "./owner-calls.ts";
import { multiSendAbi, type SafeTx } from "./safe.ts";
import { multiSendAddresses, multiSendCallOnlyAddresses } from "./safe-deployments.ts";

export const execTransactionAbi = parseAbi([
  "function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) payable returns (bool success)",
]);

/**
 * Encodes the call of a Safe that executes a Safe transaction. Any account may send it.
 *
 * @example
 * import { encodeExecTransaction, encodeSafeSignatures } from "dstack-toolkit/batch";
 * import { safeSignatures, safeTx } from "./app.js";
 * const data = encodeExecTransaction(safeTx, encodeSafeSignatures(safeSignatures));
 */
export function encodeExecTransaction(safeTx: SafeTx, signatures: Hex): Hex {
  const { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver } = safeTx;
  return encodeFunctionData({
    abi: execTransactionAbi,
    args: [to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, signatures],
  });
}

export interface ExecTransaction {
  /** Without the nonce: the calldata does not have it. */
  readonly safeTx: Omit<SafeTx, "nonce">;
  /** Still encoded. `decodeSafeSignatures` decodes them. */
  readonly signatures: Hex;
}

/**
 * Decodes calldata of `execTransaction`. Returns undefined for other calldata. Ignores bytes behind the arguments, as
 * the Safe does: some apps append a mark there.
 *
 * @example
 * import { decodeExecTransaction } from "dstack-toolkit/batch";
 * const decoded = decodeExecTransaction("0x6a761202");
 */
export function decodeExecTransaction(calldata: Hex): ExecTransaction | undefined {
  try {
    const { args } = decodeFunctionData({ abi: execTransactionAbi, data: calldata });
    const [to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, signatures] = args;
    if (!isOperation(operation)) return undefined;
    const safeTx = { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver };
    return { safeTx, signatures };
  } catch {
    return undefined;
  }
}

function isOperation(value: number): value is SafeTx["operation"] {
  return value === 0 || value === 1;
}

/** One call that a Safe transaction makes. `call` is set for an owner call of a given contract. */
export interface SafeCall {
  readonly to: Address;
  /** Wei. */
  readonly value: bigint;
  readonly data: Hex;
  /** 0: call. 1: delegatecall. */
  readonly operation: 0 | 1;
  readonly call: OwnerCall | undefined;
}

/** What else a Safe transaction does, beside owner calls of the given contracts. */
export interface SafeTxProblem {
  readonly kind: "delegatecall" | "malformed" | "refund" | "safe-settings" | "unknown-call" | "value";
  /** A sentence for the signers. */
  readonly message: string;
}

export interface DecodedSafeTx {
  /** In the order of execution. Empty if the data cannot be decoded. */
  readonly calls: readonly SafeCall[];
  /** Empty if the transaction makes owner calls of the given contracts, and does nothing else. */
  readonly problems: readonly SafeTxProblem[];
}

export interface DecodeSafeTxParameters {
  readonly safe: Address;
  /** The contracts whose owner calls are known. Their addresses are trusted. */
  readonly contracts: readonly { readonly contract: OwnedContract; readonly address: Address }[];
  /** A MultiSendCallOnly that the caller trusts, beside Safe's own deployments. */
  readonly multiSend?: Address | undefined;
}

/**
 * Decodes what a Safe transaction does: a single call, or the calls inside a delegatecall to one of Safe's MultiSend
 * contracts. Everything that is not an owner call of the given contracts is a problem: owners should not sign it
 * unless they know what it does. Whether the address of MultiSend has Safe's code is for the chain to say.
 *
 * @example
 * import { decodeSafeTx } from "dstack-toolkit/batch";
 * import { appId, safe, safeTx } from "./app.js";
 * const { calls, problems } = decodeSafeTx(safeTx, { safe, contracts: [{ contract: "app", address: appId }] });
 */
export function decodeSafeTx(safeTx: Omit<SafeTx, "nonce">, parameters: DecodeSafeTxParameters): DecodedSafeTx {
  const { safe, multiSend } = parameters;
  const known = [...multiSendCallOnlyAddresses, ...multiSendAddresses, ...(multiSend === undefined ? [] : [multiSend])];
  const isMultiSend = safeTx.operation === 1 && known.some((address) => isAddressEqual(address, safeTx.to));
  const raw = isMultiSend ? decodeMultiSend(safeTx.data, safe) : [safeTx];
  const refund = refundOf(safeTx);
  const value: SafeTxProblem[] = isMultiSend && safeTx.value > 0n ? [valueProblem(safeTx.to, safeTx.value)] : [];
  if (raw === undefined) {
    const message = `The data for MultiSend at ${getAddress(safeTx.to)} is not a list of calls.`;
    return { calls: [], problems: [...refund, ...value, { kind: "malformed", message }] };
  }
  const calls = raw.map(({ to, data, operation, value }) => {
    const call = operation === 0 ? ownerCallOf({ to, data }, parameters) : undefined;
    return { to: getAddress(to), value, data, operation, call };
  });
  return { calls, problems: [...refund, ...value, ...calls.flatMap((call) => problemsOf(call, safe))] };
}

function ownerCallOf(
  { to, data }: Pick<SafeCall, "to" | "data">,
  { contracts }: DecodeSafeTxParameters,
): OwnerCall | undefined {
  const target = contracts.find(({ address }) => isAddressEqual(address, to));
  return target && decodeOwnerCall({ contract: target.contract, to, data });
}

function problemsOf({ to, value, data, operation, call }: SafeCall, safe: Address): SafeTxProblem[] {
  if (operation === 1) {
    return [{ kind: "delegatecall", message: `It runs the code of ${to} with all rights of the Safe (delegatecall).` }];
  }
  const problems = value > 0n ? [valueProblem(to, value)] : [];
  if (call !== undefined) return problems;
  if (isAddressEqual(to, safe)) {
    const message = `It calls the Safe itself with ${nameOf(data)}. Such a call changes owners, threshold or modules.`;
    return [...problems, { kind: "safe-settings", message }];
  }
  return [...problems, { kind: "unknown-call", message: `It calls ${to} with ${nameOf(data)}, which is not known.` }];
}

function nameOf(data: Hex): string {
  return size(data) < 4 ? "no function" : `function ${slice(data, 0, 4)}`;
}

function valueProblem(to: Address, value: bigint): SafeTxProblem {
  return { kind: "value", message: `It sends ${value} wei to ${getAddress(to)}.` };
}

function refundOf({ gasPrice, baseGas, gasToken, refundReceiver }: Omit<SafeTx, "nonce">): SafeTxProblem[] {
  if (gasPrice === 0n) return [];
  const token = isAddressEqual(gasToken, zeroAddress) ? "native coin" : `token ${gasToken}`;
  const receiver = isAddressEqual(refundReceiver, zeroAddress) ? "whoever sends it" : refundReceiver;
  const message = `It pays ${receiver} ${gasPrice} units of ${token} per gas, for ${baseGas} gas and the gas used.`;
  return [{ kind: "refund", message }];
}

interface RawCall {
  readonly to: Address;
  readonly value: bigint;
  readonly data: Hex;
  readonly operation: 0 | 1;
}

const headBytes = 1 + 20 + 32 + 32;

/** Undefined unless the bytes are exactly a list of calls. MultiSend takes address zero for the Safe. */
function decodeMultiSend(data: Hex, safe: Address): RawCall[] | undefined {
  try {
    const [packed] = decodeFunctionData({ abi: multiSendAbi, data }).args;
    // Two parsers may read another encoding of the same bytes differently.
    if (encodeFunctionData({ abi: multiSendAbi, args: [packed] }) !== data.toLowerCase()) return undefined;
    const calls: RawCall[] = [];
    for (let at = 0; at < size(packed); ) {
      const field = (from: number, to: number) => slice(packed, at + from, at + to, { strict: true });
      const operation = hexToNumber(field(0, 1));
      const length = Number(hexToBigInt(field(53, headBytes)));
      if (!isOperation(operation) || at + headBytes + length > size(packed)) return undefined;
      const to = field(1, 21);
      calls.push({
        to: isAddressEqual(to, zeroAddress) ? safe : to,
        value: hexToBigInt(field(21, 53)),
        data: length === 0 ? "0x" : field(headBytes, headBytes + length),
        operation,
      });
      at += headBytes + length;
    }
    return calls.length === 0 ? undefined : calls;
  } catch {
    return undefined;
  }
}
