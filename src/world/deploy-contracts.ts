import {
  type Account,
  type Address,
  type Chain,
  type Client,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  parseAbi,
  type Transport,
} from "viem";
import { sendTransaction } from "viem/actions";
import { dstackKmsAbi } from "../abi/index.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import { parseTransactionHash } from "../core/ids.ts";
import { dstackAppBytecode, dstackKmsBytecode, erc1967ProxyBytecode } from "../generated/bytecode.ts";

export interface DeployedContracts {
  readonly kms: Address;
  readonly appImplementation: Address;
}

/** A client that pays as its account, whose key is here or with the node. */
type DeployerClient = Client<Transport, Chain, Account>;

const proxyAbi = parseAbi(["constructor(address implementation, bytes data)"]);

/**
 * Deploys DstackKms behind its proxy, owned by the client's account, and the DstackApp implementation. The same
 * contracts as ignition/modules/dstack-kms.ts, from the code in this package: no compiler, no artifacts, no journal.
 */
export async function deployContracts(client: DeployerClient): Promise<DeployedContracts> {
  const appImplementation = await deploy(client, dstackAppBytecode);
  const kmsImplementation = await deploy(client, dstackKmsBytecode);
  const data = encodeFunctionData({
    abi: dstackKmsAbi,
    functionName: "initialize",
    args: [client.account.address, appImplementation],
  });
  const kms = await deploy(
    client,
    encodeDeployData({ abi: proxyAbi, bytecode: erc1967ProxyBytecode, args: [kmsImplementation, data] }),
  );
  return { kms, appImplementation };
}

async function deploy(client: DeployerClient, data: Hex): Promise<Address> {
  const transactionHash = parseTransactionHash(await sendTransaction(client, { data }));
  const receipt = await waitForReceipt(client, { transactionHash, functionName: "constructor" });
  if (!receipt.contractAddress) throw new TypeError(`Transaction ${transactionHash} created no contract.`);
  return receipt.contractAddress;
}
