import { createHash } from "node:crypto";
import type { Hex } from "../../core/ids.ts";
import type { Cvm, Workload } from "../store/cvms.ts";
import type { Node, OsImage } from "../store/platform.ts";
import type { BootInfo } from "./boot-gate.ts";

/**
 * The boot info of a CVM that starts `workload`. The two measurement registers are stand-ins: like real ones they
 * follow from image (and document), but no hardware measured them, and an app's boot policy does not look at them.
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
