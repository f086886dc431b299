import type { App20251028, App20260121 } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { CvmView } from "../services/view-cvm.ts";
import { toCvmBasicInfo, toCvmInfo20260121 } from "./cvm-list-answers.ts";

/** The CVMs of one app, oldest first. */
export type AppView = readonly [CvmView, ...CvmView[]];

export function toApp20251028(views: AppView): App20251028 {
  const cvms = views.map(toCvmBasicInfo);
  return { ...describeApp(views), current_cvm: cvms.at(-1) ?? null, cvms };
}

export function toApp20260121(views: AppView): App20260121 {
  const cvms = views.map(toCvmInfo20260121);
  return { ...describeApp(views), current_cvm: cvms.at(-1) ?? null, cvms };
}

/** An app has the name of its first CVM: it is no record of its own. */
function describeApp(views: AppView) {
  const [{ cvm, kms }] = views;
  return {
    id: `app_${withoutPrefix(cvm.appId)}`,
    name: cvm.name,
    app_id: withoutPrefix(cvm.appId),
    app_provision_type: null,
    app_icon_url: null,
    created_at: toIsoTime(cvm.createdAt),
    kms_type: kms.type,
    profile: null,
    cvm_count: views.length,
  };
}
