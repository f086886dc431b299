import {
  type Address,
  encodeFunctionData,
  type Hex,
  hexToBigInt,
  keccak256,
  parseAbi,
  parseEther,
  parseGwei,
  serializeTransaction,
  size,
  slice,
} from "viem";
import { ImplausibleAnswerError, RpcUnavailableError } from "../../errors/index.ts";
import { callMany } from "../calls.ts";
import type { ChainClient } from "../client.ts";

/** The GasPriceOracle predeploy of every OP stack chain, and the only sign of one. Other chains have no code there. */
const gasPriceOracle: Address = "0x420000000000000000000000000000000000000f";
/** Not viem's ABI: its older releases lack the second function, and its actions leave authorisations out. */
const abi = parseAbi([
  "function getL1Fee(bytes unsignedTransaction) view returns (uint256)",
  "function getOperatorFee(uint256 gasUsed) view returns (uint256)",
]);

/** More than any OP stack chain has ever taken for one transaction. */
const highestRollupFee = parseEther("1");

export interface SizedTransaction {
  readonly to: Address;
  readonly data: Hex;
  /** Whether it carries an authorisation (EIP-7702). */
  readonly authorizes?: boolean | undefined;
}

/**
 * The fees that an OP stack chain takes in addition to the gas. All are zero on another chain. The chain computes them
 * itself when it executes the transaction, so a false answer of the endpoint costs nothing.
 */
export interface RollupFees {
  /** L1 data fee of each transaction, in wei, in the order in which they were given. */
  readonly l1Fees: readonly bigint[];
  /** Operator fee of one transaction that uses this gas, in wei. */
  readonly operatorFeeOf: (gas: bigint) => bigint;
}

/** The unit of the second question about the operator fee. The fee is linear in the gas, and exact at this unit. */
const millionGas = 1_000_000n;

/**
 * Asks the chain's GasPriceOracle for the present L1 data fee and operator fee, in one request where the client's chain
 * has Multicall3. It reads the fee of transactions of the same kind and size once.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readRollupFees(
  client: ChainClient,
  { transactions }: { readonly transactions: readonly SizedTransaction[] },
): Promise<RollupFees> {
  const samples = [...new Map(transactions.map((transaction) => [kindOf(transaction), transaction])).entries()];
  const bytes = samples.map(([, transaction]) => unsignedBytesOf(transaction));
  const { answers } = await callMany(client, {
    to: gasPriceOracle,
    calls: [
      ...[0n, millionGas].map((gas) => encodeFunctionData({ abi, functionName: "getOperatorFee", args: [gas] })),
      ...bytes.map(({ asked }) => encodeFunctionData({ abi, functionName: "getL1Fee", args: [asked] })),
    ],
    abi,
    doing,
  });
  const [constant = 0n, ofMillion = 0n, ...l1Fees] = answers.map(parseFee);
  const feeOf = new Map(
    samples.map(([kind], index) => {
      const { asked, whole } = bytes[index] ?? { asked: "0x", whole: 1 };
      return [kind, scale(l1Fees[index] ?? 0n, whole, size(asked))];
    }),
  );
  const perMillionGas = ofMillion > constant ? ofMillion - constant : 0n;
  return {
    l1Fees: transactions.map((transaction) =>
      requirePlausible("the L1 data fee", feeOf.get(kindOf(transaction)) ?? 0n),
    ),
    operatorFeeOf: (gas) => requirePlausible("the operator fee", constant + (gas * perMillionGas) / millionGas),
  };
}

const doing = "reading the fees of the rollup";

/** No answer: there is no such contract, or it is of a release without this fee. */
function parseFee(answer: Hex | undefined): bigint {
  if (answer === undefined || answer === "0x") return 0n;
  if (size(answer) === 32) return hexToBigInt(answer);
  throw new RpcUnavailableError(doing, { said: `${size(answer)} bytes are no fee` });
}

function requirePlausible(what: string, fee: bigint): bigint {
  if (fee <= highestRollupFee) return fee;
  throw new ImplausibleAnswerError({ what: `${what} in wei`, answer: fee, most: highestRollupFee });
}

/** The data fee depends on the compressed size, which differs little between calls of one function. */
function kindOf({ to, data, authorizes = false }: SizedTransaction): string {
  return [to, size(data), data.slice(0, 10), authorizes].join();
}

/**
 * The oracle compresses the bytes in the EVM, which for the largest batches takes more gas than nodes give to a call.
 * For long ones it is asked about the end, and the fee is scaled: a batch repeats itself, apart from its beginning. The
 * result is up to a tenth too high, because a longer text compresses better.
 */
const longestAsked = 4_096;

function unsignedBytesOf(transaction: SizedTransaction): { readonly asked: Hex; readonly whole: number } {
  const bytes = serialize(transaction);
  const whole = size(bytes);
  return { asked: whole > longestAsked ? slice(bytes, -longestAsked) : bytes, whole };
}

function scale(fee: bigint, whole: number, asked: number): bigint {
  return (fee * BigInt(whole)) / BigInt(Math.max(1, asked));
}

/** Bytes like those of a signature: they do not compress, and the transaction's data does not contain them. */
const address = slice(keccak256("0x7702"), 0, 20);
const r = keccak256("0x770201");
const s = keccak256("0x770202");

/**
 * The transaction as it is sent, without its signature, whose size the oracle adds itself. Fields that are not chosen
 * yet have a usual size: they are a few bytes of a fee that is counted from 100 bytes on.
 */
function serialize({ to, data, authorizes = false }: SizedTransaction): Hex {
  const fields = {
    ...{ chainId: 8453, nonce: 300, to, data, gas: 300_000n },
    ...{ maxFeePerGas: parseGwei("1.234567891"), maxPriorityFeePerGas: parseGwei("0.001234567") },
  };
  if (!authorizes) return serializeTransaction({ ...fields, type: "eip1559" });
  const authorization = { chainId: 8453, address, nonce: 300, r, s, yParity: 1 };
  return serializeTransaction({ ...fields, type: "eip7702", authorizationList: [authorization] });
}
