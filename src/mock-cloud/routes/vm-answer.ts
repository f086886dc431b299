import type { ApiVersion, Vm } from "../../cloud/protocol.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import { viewCvm } from "../services/view-cvm.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import { toVm } from "../wire/cvm-answers.ts";

/** A CVM as actions answer it, at an API version. */
export type VmAnswer = (cvm: Cvm, version: ApiVersion) => Vm;

export function createVmAnswer(store: Store, kmsRuntime: KmsRuntime): VmAnswer {
  return (cvm, version) => toVm(viewCvm(store, kmsRuntime, cvm), version);
}
