import type { Hex } from "../../core/ids.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Operation } from "../store/operations.ts";
import type { Kms, Node, OsImage } from "../store/platform.ts";
import type { Store } from "../store/store.ts";
import type { Workspace } from "../store/workspaces.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

/** A CVM with everything its answers mention. */
export interface CvmView {
  readonly cvm: Cvm;
  readonly kms: Kms;
  readonly node: Node;
  readonly osImage: OsImage | undefined;
  readonly workspace: Workspace;
  readonly running: Operation | undefined;
  /** Null while the KMS is down. */
  readonly envPublicKey: Hex | null;
}

/** Collects what the answers about a CVM show beside the CVM itself. */
export function viewCvm(store: Store, kmsRuntime: KmsRuntime, cvm: Cvm): CvmView {
  const { kms, node } = store.platform.placeOf(cvm);
  const workspace = store.workspaces.find(cvm.workspaceId);
  if (!workspace) throw new Error(`Workspace ${cvm.workspaceId} is gone.`);
  return {
    cvm,
    kms,
    node,
    workspace,
    osImage: store.platform.findOsImage(cvm.settings.osImage),
    running: store.operations.runningOf(cvm.id),
    envPublicKey: kmsRuntime.isUp(kms.id) ? kmsRuntime.appKey(kms.id, cvm.appId).publicKey : null,
  };
}
