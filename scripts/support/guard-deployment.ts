import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { JsonRpcRequest, JsonRpcResponse, SuccessfulJsonRpcResponse } from "hardhat/types/providers";
import { type Address, getContractAddress, isAddressEqual, parseGwei } from "viem";
import { highestTip } from "../../src/chain/transactions/fees.ts";
import { ImplausibleAnswerError } from "../../src/errors/index.ts";

/** Three times the gas that the largest contract needs. */
const gasCeiling = 10_000_000n;
/** Ignition raises the tip of a waiting transaction several times. */
const highestRaisedTip = 2n * highestTip;
/** A contract of an interrupted deployment must come from one of the account's first nonces, up to this number. */
const mostNonces = 20_000;

interface SentTransaction {
  readonly from?: Address;
  readonly to?: Address | null;
  readonly value?: string;
  readonly nonce?: string;
  readonly gas?: string;
  readonly gasPrice?: string;
  readonly maxPriorityFeePerGas?: string;
}

/**
 * Checks the requests between Ignition and the network during a deployment. Ignition takes the tip, the gas and the
 * addresses of deployed contracts from the endpoint, and signs the next transaction with them. A malicious endpoint
 * could make the KMS run other code. So this guard limits tip and gas, and accepts an address only if the deploying
 * account creates it.
 *
 * @returns a function that removes the guard
 */
export function guardDeployment(hre: HardhatRuntimeEnvironment): () => void {
  const creators = new Set<Address>();
  const expected = new Map<string, Address>();
  const hooks: Parameters<typeof hre.hooks.registerHandlers<"network">>[1] = {
    onRequest: async (context, connection, request, next) => {
      const sent = request.method === "eth_sendTransaction" ? transactionOf(request) : undefined;
      if (sent !== undefined) requireBounds(sent);
      const response = await next(context, connection, request);
      if (!isSuccess(response)) return response;
      if (request.method === "eth_accounts" && isAddresses(response.result))
        for (const address of response.result) creators.add(address);
      if (request.method === "eth_maxPriorityFeePerGas" && BigInt(String(response.result)) > highestTip)
        return { ...response, result: `0x${highestTip.toString(16)}` };
      if (sent?.from !== undefined && !sent.to)
        expected.set(
          String(response.result),
          getContractAddress({ from: sent.from, nonce: BigInt(sent.nonce ?? "0x0") }),
        );
      if (request.method === "eth_getTransactionReceipt") requireCreated(request, response, { creators, expected });
      return response;
    },
  };
  hre.hooks.registerHandlers("network", hooks);
  return () => hre.hooks.unregisterHandlers("network", hooks);
}

function requireBounds({ value = "0x0", gas = "0x0", ...price }: SentTransaction): void {
  const bound = (what: string, value: bigint, most: bigint) => {
    if (value > most) throw new ImplausibleAnswerError({ what, answer: value, most });
  };
  bound("the value of a deployment", BigInt(value), 0n);
  bound("the gas of a deployment", BigInt(gas), gasCeiling);
  bound("the tip in wei per gas", BigInt(price.maxPriorityFeePerGas ?? "0x0"), highestRaisedTip);
  // A legacy transaction pays its full gas price, independently of the block's base fee.
  bound("the price in wei per gas", BigInt(price.gasPrice ?? "0x0"), parseGwei("100"));
}

interface Known {
  readonly creators: ReadonlySet<Address>;
  readonly expected: ReadonlyMap<string, Address>;
}

function requireCreated(
  { params }: JsonRpcRequest,
  { result }: SuccessfulJsonRpcResponse,
  { creators, expected }: Known,
): void {
  const { contractAddress } = Object(result) as { readonly contractAddress?: Address | null };
  if (!contractAddress) return;
  const hash = String(Array.isArray(params) ? params[0] : undefined);
  const own = expected.get(hash);
  const isOurs =
    own === undefined
      ? [...creators].some((creator) => isCreatedBy(creator, contractAddress))
      : isAddressEqual(own, contractAddress);
  if (isOurs) return;
  throw new Error(`The RPC endpoint says that transaction ${hash} created ${contractAddress}, which it cannot create.`);
}

function isCreatedBy(from: Address, address: Address): boolean {
  for (let nonce = 0n; nonce < mostNonces; nonce++)
    if (isAddressEqual(getContractAddress({ from, nonce }), address)) return true;
  return false;
}

function transactionOf({ params }: JsonRpcRequest): SentTransaction {
  return Object(Array.isArray(params) ? params[0] : undefined) as SentTransaction;
}

function isSuccess(response: JsonRpcResponse): response is SuccessfulJsonRpcResponse {
  return "result" in response;
}

function isAddresses(value: unknown): value is readonly Address[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
