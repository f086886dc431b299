import { createHash } from "node:crypto";
import type { PublicClient } from "viem";
import { parseAppCompose } from "../../core/app-compose.ts";
import { decryptEnvironment, type EnvironmentVariable } from "../../core/environment.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "../../core/ids.ts";
import { dstackKmsAbi } from "../../generated/abi.ts";
import type { Cvm, Workload } from "../store/cvms.ts";
import type { Node, OsImage } from "../store/platform.ts";
import { contractFault, readGenerations, whyNotJudged } from "../verification/generation.ts";

/** The struct that a KMS passes to its policy contract when a guest asks for its keys. */
export interface BootInfo {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly instanceId: Hex;
  readonly deviceId: DeviceId;
  readonly mrAggregated: Hex;
  readonly mrSystem: Hex;
  readonly osImageHash: Hex;
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
}

export type BootVerdict =
  | { readonly kind: "allowed" }
  | { readonly kind: "refused"; readonly reason: string }
  /** The chain gave no answer, so the boot is neither allowed nor refused. */
  | { readonly kind: "unreadable"; readonly cause: unknown };

export interface BootPolicy {
  readonly chainId: number;
  /** Address of the DstackKms. */
  readonly contractAddress: Hex;
}

/** Asks DstackKms whether a guest with this boot info gets its keys. */
export async function askBootGate(client: PublicClient, policy: BootPolicy, bootInfo: BootInfo): Promise<BootVerdict> {
  try {
    const chainId = await client.getChainId();
    if (chainId !== policy.chainId) {
      return { kind: "unreadable", cause: new Error(`The endpoint serves chain ${chainId}, not ${policy.chainId}.`) };
    }
    const verdict = await readVerdict(client, policy, bootInfo);
    const { contractAddress } = policy;
    const { appId } = bootInfo;
    const [ofKms, ofApp] = await readGenerations(client, [contractAddress, appId]);
    // This backend cannot judge a contract with key epochs. If the generation is unknown, it accepts a refusal only.
    const unjudged = [
      { address: contractAddress, generation: ofKms },
      { address: appId, generation: ofApp },
    ].find(({ generation: { hasKeyEpochs } }) => hasKeyEpochs ?? verdict.kind === "allowed");
    if (unjudged === undefined) return verdict;
    return { kind: "refused", reason: whyNotJudged(unjudged.address, unjudged.generation) };
  } catch (cause) {
    return { kind: "unreadable", cause };
  }
}

/** Reads the verdict of DstackKms. @throws when the endpoint fails: then the contract's verdict is unknown */
async function readVerdict(client: PublicClient, policy: BootPolicy, bootInfo: BootInfo): Promise<BootVerdict> {
  try {
    const [isAllowed, reason] = await client.readContract({
      address: policy.contractAddress,
      abi: dstackKmsAbi,
      functionName: "isAppAllowed",
      args: [bootInfo],
    });
    if (isAllowed) return { kind: "allowed" };
    return { kind: "refused", reason: reason || "The boot policy refused without a reason" };
  } catch (error) {
    const fault = contractFault(error);
    if (fault === undefined) throw error;
    return { kind: "refused", reason: `The boot policy gave no verdict, ${fault}` };
  }
}

/**
 * Builds the boot info of a CVM that starts `workload`. The two measurement registers are stand-ins. They are derived
 * from the image (and the document), as real ones are, but no hardware measured them. An app's boot policy does not
 * read them.
 */
export function buildBootInfo(cvm: Cvm, workload: Workload, node: Node, osImage: OsImage): BootInfo {
  return {
    appId: cvm.appId,
    composeHash: workload.composeHash,
    instanceId: cvm.instanceId,
    deviceId: node.deviceId,
    mrSystem: measure("system", osImage.osImageHash),
    mrAggregated: measure("aggregated", osImage.osImageHash, workload.composeHash),
    osImageHash: osImage.osImageHash,
    tcbStatus: node.tcbStatus,
    advisoryIds: node.advisoryIds,
  };
}

function measure(...parts: readonly string[]): Hex {
  return `0x${createHash("sha256").update(parts.join(" ")).digest("hex")}`;
}

/**
 * The environment as the guest sees it: decrypted with the app's key, without the names that the document does not
 * allow. The store holds only the ciphertext, so this is computed for each call.
 *
 * @throws EnvironmentDecryptionError, InvalidEnvironmentError
 */
export function openGuestEnvironment(workload: Workload, privateKey: Hex): EnvironmentVariable[] {
  if (workload.encryptedEnv === null) return [];
  const allowed = new Set(parseAppCompose(workload.composeText).allowed_envs ?? []);
  return decryptEnvironment(workload.encryptedEnv, privateKey).filter(({ key }) => allowed.has(key));
}
