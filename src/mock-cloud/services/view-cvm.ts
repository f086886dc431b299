import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { CvmView } from "../wire/cvm-answers.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

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
