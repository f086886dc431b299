import {
  type Account,
  type Address,
  type Chain,
  type Client,
  encodeDeployData,
  encodeFunctionData,
  parseAbi,
  parseEther,
  type Transport,
} from "viem";
import { getBalance, readContract, sendTransaction } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { readOwnership } from "../chain/read-app.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import { sendOwnerCall } from "../chain/transactions/send-call.ts";
import { simulateCall } from "../chain/transactions/simulate.ts";
import { type Hex, parseAppId, parseTransactionHash } from "../core/ids.ts";
import { addOsImageHashCall } from "../core/kms-owner-calls.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import { dstackAppBytecode, dstackKmsBytecode, erc1967ProxyBytecode } from "../generated/bytecode.ts";
import type { LocalChainClient, OwnerClient } from "./chain/client.ts";
import type { WorldOsImage } from "./start-cloud.ts";

export interface DeployedContracts {
  readonly kms: Address;
  readonly appImplementation: Address;
}

/** A client whose account pays. The key is in this process or in the node. */
type DeployerClient = Client<Transport, Chain, Account>;

const proxyAbi = parseAbi(["constructor(address implementation, bytes data)"]);

/**
 * Deploys DstackKms behind its proxy, owned by the client's account, and the DstackApp implementation. The contracts
 * are those of ignition/modules/dstack-kms.ts. The bytecode is in this package, so this needs no compiler and no
 * artifacts.
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

/** Returns those of the images that the KMS does not allow. */
export async function findRefusedOsImages(
  client: ChainClient,
  kms: Address,
  images: readonly WorldOsImage[],
): Promise<WorldOsImage[]> {
  const allowed = await withRpcErrors(client, "reading the allowed OS images", () =>
    Promise.all(
      images.map(({ hash }) =>
        readContract(client, { address: kms, abi: dstackKmsAbi, functionName: "allowedOsImages", args: [hash] }),
      ),
    ),
  );
  return images.filter((_, index) => !allowed[index]);
}

/** Allows OS images on a KMS, for all its apps. Only the owner of the KMS may do this. */
export async function allowOsImages(client: OwnerClient, kms: Address, images: readonly WorldOsImage[]): Promise<void> {
  for (const { hash } of images) {
    const call = addOsImageHashCall({ kms, osImageHash: hash });
    const transactionHash = await sendOwnerCall(client, call, {});
    await waitForReceipt(client, { transactionHash, functionName: call.functionName });
  }
}

export interface PublishKmsKeyParameters {
  readonly kms: Address;
  /** The key with which the mock cloud's KMS signs app keys: compressed secp256k1, 33 bytes. */
  readonly publicKey: Hex;
}

const functionName = "setKmsInfo";

/**
 * Publishes the mock KMS's key as the contract's `k256Pubkey`, unless it is published already. Updates then read from
 * the chain which key signs app keys. The client's account must own the KMS.
 */
export async function publishKmsKey(client: OwnerClient, parameters: PublishKmsKeyParameters): Promise<void> {
  const data = await encodePublication(client, parameters);
  if (data === undefined) return;
  const { kms: to } = parameters;
  await simulateCall(client, { from: client.account.address, to, data, abi: dstackKmsAbi, functionName });
  const transactionHash = parseTransactionHash(await sendTransaction(client, { to, data }));
  await waitForReceipt(client, { transactionHash, functionName });
}

/**
 * Does the same on a dev chain, for any owner of the KMS. The node sends the transaction as the impersonated owner,
 * without a key.
 *
 * @throws RpcUnavailableError, TransactionRevertedError when the node or the contract refuses
 */
export async function publishKmsKeyAsOwner(
  client: LocalChainClient,
  parameters: PublishKmsKeyParameters,
): Promise<void> {
  const data = await encodePublication(client, parameters);
  if (data === undefined) return;
  const { kms } = parameters;
  const { owner } = await readOwnership(client, { appId: parseAppId(kms) });
  const transactionHash = await withRpcErrors(
    client,
    "publishing the mock KMS's key as the owner of the KMS",
    async () => {
      await client.impersonateAccount({ address: owner });
      try {
        // On a fork the owner is often a contract without a balance.
        const enough = parseEther("1");
        if ((await getBalance(client, { address: owner })) < enough) {
          await client.setBalance({ address: owner, value: enough });
        }
        return parseTransactionHash(await sendTransaction(client, { account: owner, to: kms, data }));
      } finally {
        await client.stopImpersonatingAccount({ address: owner });
      }
    },
  );
  await waitForReceipt(client, { transactionHash, functionName });
}

/** Whether the contract has published this key. */
export async function isKmsKeyPublished(
  client: ChainClient,
  { kms, publicKey }: PublishKmsKeyParameters,
): Promise<boolean> {
  const [published] = await readKmsInfo(client, kms);
  return published.toLowerCase() === publicKey;
}

/** Undefined if the key is published. The other fields of the KMS info stay unchanged. */
async function encodePublication(
  client: ChainClient,
  { kms, publicKey }: PublishKmsKeyParameters,
): Promise<Hex | undefined> {
  const [published, caPubkey, quote, eventlog] = await readKmsInfo(client, kms);
  if (published.toLowerCase() === publicKey) return undefined;
  const info = { k256Pubkey: publicKey, caPubkey, quote, eventlog };
  return encodeFunctionData({ abi: dstackKmsAbi, functionName, args: [info] });
}

function readKmsInfo(client: ChainClient, kms: Address) {
  return withRpcErrors(client, "reading the KMS's published key", () =>
    readContract(client, { address: kms, abi: dstackKmsAbi, functionName: "kmsInfo" }),
  );
}
