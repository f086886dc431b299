import type { App20251028, App20260121 } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { CvmView } from "../services/find.ts";
import { toCvmBasicInfo, toCvmInfo20260121 } from "./cvm-answers.ts";

/** Search criteria for apps. An app matches if one of its CVMs meets all criteria. */
export interface AppFilter {
  /** Part of a name or an app id. Upper and lower case are equal. */
  readonly search?: string | undefined;
  readonly statuses?: readonly string[] | undefined;
  readonly listed?: boolean | undefined;
  readonly baseImage?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly kmsSlug?: string | undefined;
  readonly kmsType?: string | undefined;
  /** Name or number of a node. */
  readonly node?: string | undefined;
  readonly region?: string | undefined;
}

/** Groups CVMs by app, the newest app first. @param views oldest first */
export function groupByApp(views: readonly CvmView[]): AppView[] {
  const apps = new Map<string, [CvmView, ...CvmView[]]>();
  for (const view of views) {
    const app = apps.get(view.cvm.appId);
    if (app) app.push(view);
    else apps.set(view.cvm.appId, [view]);
  }
  return [...apps.values()].reverse();
}

export function matchesFilter(app: AppView, filter: AppFilter): boolean {
  return app.some((view) => cvmMatches(view, filter));
}

function cvmMatches({ cvm, kms, node }: CvmView, filter: AppFilter): boolean {
  const { settings } = cvm;
  const wanted: readonly (readonly [string | undefined, readonly string[]])[] = [
    [filter.baseImage, [settings.osImage]],
    [filter.instanceType, [settings.instanceType]],
    [filter.kmsSlug, [kms.slug]],
    [filter.kmsType, [kms.type]],
    [filter.node, [node.name, String(node.id)]],
    [filter.region, [node.region]],
  ];
  return (
    wanted.every(([value, names]) => value === undefined || names.includes(value)) &&
    (filter.statuses === undefined || filter.statuses.includes(cvm.status)) &&
    (filter.listed === undefined || filter.listed === settings.listed) &&
    (filter.search === undefined || isFound(cvm, filter.search))
  );
}

function isFound(cvm: CvmView["cvm"], search: string): boolean {
  const part = search.trim().toLowerCase();
  const appId = part.replace(/^(app_|0x)/, "");
  return cvm.name.toLowerCase().includes(part) || withoutPrefix(cvm.appId).includes(appId);
}

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

/** An app has no record of its own, so it takes the name of its first CVM. */
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
