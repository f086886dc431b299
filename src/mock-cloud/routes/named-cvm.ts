import { findCvm } from "../services/find-cvm.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";

interface CvmRequest {
  readonly principal: Principal;
  readonly params: { readonly cvm_id: string };
}

/** The CVM in a request's path, if it belongs to the key's workspace. @throws ApiError 404, or 400 where several match */
export function namedCvm(store: Store, { principal, params }: CvmRequest): Cvm {
  return findCvm(store.cvms, principal.workspace.id, params.cvm_id);
}
