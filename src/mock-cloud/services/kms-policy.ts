import type { PublicClient } from "viem";
import { dstackKmsAbi } from "../../abi/index.ts";
import type { KmsOnChainDetail } from "../../cloud/protocol.ts";
import { type Hex, withoutPrefix } from "../../core/ids.ts";
import { kmsNotFound } from "../errors.ts";
import type { Platform } from "../store/platform.ts";
import { listKmsContracts } from "./kms-contracts.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

const chains: ReadonlyMap<string, { readonly name: string; readonly id: number }> = new Map([
  ["base", { name: "Base", id: 8453 }],
  ["ethereum", { name: "Ethereum", id: 1 }],
]);

/**
 * The KMS contracts of a chain, and which of the cloud's devices and OS images each allows, read from the chain.
 *
 * @param word `base` or `ethereum`; a development chain counts as Base
 * @throws ApiError 404
 */
export async function describeOnChainKms(
  platform: Platform,
  kmsRuntime: KmsRuntime,
  word: string,
): Promise<KmsOnChainDetail> {
  const chain = chains.get(word.toLowerCase());
  if (!chain) throw kmsNotFound(word);
  const here = listKmsContracts(platform).filter(({ nodes: [{ type }] }) => type === word.toLowerCase());
  const contracts = await Promise.all(
    here.map(async ({ nodes: [kms] }) => {
      const { chainId, contractAddress } = kms;
      if (chainId === null || contractAddress === null) throw new Error(`KMS ${kms.slug} is on no chain.`);
      const client = kmsRuntime.chain(kms.id);
      const [devices, osImages] = await Promise.all([
        Promise.all(
          platform.listNodes().map(async ({ deviceId, name }) => ({
            device_id: withoutPrefix(deviceId),
            node_name: name,
            on_chain_allowed: await readPolicy(client, contractAddress, "kmsAllowedDeviceIds", deviceId),
          })),
        ),
        Promise.all(
          platform.listOsImages().map(async ({ name, version, osImageHash }) => ({
            name,
            version,
            os_image_hash: withoutPrefix(osImageHash),
            on_chain_allowed: await readPolicy(client, contractAddress, "allowedOsImages", osImageHash),
          })),
        ),
      ]);
      return {
        contract_address: contractAddress,
        chain_id: chainId,
        chain_name: chain.name,
        devices,
        os_images: osImages,
      };
    }),
  );
  return { chain_name: chain.name, chain_id: contracts[0]?.chain_id ?? chain.id, contracts };
}

/** Null when the chain gave no answer. */
async function readPolicy(
  client: PublicClient | undefined,
  address: Hex,
  functionName: "kmsAllowedDeviceIds" | "allowedOsImages",
  value: Hex,
): Promise<boolean | null> {
  if (!client) return null;
  return client.readContract({ address, abi: dstackKmsAbi, functionName, args: [value] }).catch(() => null);
}
