import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { JsonRpcRequest, JsonRpcResponse, SuccessfulJsonRpcResponse } from "hardhat/types/providers";
import { type Address, getContractAddress, isAddressEqual, parseGwei } from "viem";
import { highestTip } from "../../src/chain/transactions/prepare.ts";
import { ImplausibleAnswerError } from "../../src/errors/index.ts";

/** Three times what the largest contract takes. */
const gasCeiling = 10_000_000n;
/** Ignition raises the tip of a transaction that waits, several times. */
const highestRaisedTip = 2n * highestTip;
/** How far back in the account's life a contract of an interrupted deployment may have been created. */
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
 * Stands between Ignition and the network while it deploys. Ignition takes tip, gas and the addresses of what it has
 * deployed from the endpoint, and signs the next transaction with them: an endpoint could have the KMS run its own code.
 * Here the tip and the gas are bounded, and an address is believed only if the deploying account creates it.
 *
 * @returns takes the guard away
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
  const bound = (what: string, told: bigint, most: bigint) => {
    if (told > most) throw new ImplausibleAnswerError({ what, told, most });
  };
  bound("the value of a deployment", BigInt(value), 0n);
  bound("the gas of a deployment", BigInt(gas), gasCeiling);
  bound("the tip in wei per gas", BigInt(price.maxPriorityFeePerGas ?? "0x0"), highestRaisedTip);
  // The old kind of transaction pays all of its price, whatever the block's base fee is.
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
