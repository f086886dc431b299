import { withoutPrefix } from "../../core/ids.ts";
import type { AppView } from "../wire/app-answers.ts";
import type { CvmView } from "./view-cvm.ts";

/** What an app is looked for by; it has to have one CVM that fits all of it. */
export interface AppFilter {
  /** Part of a name or an app id, in any letter case. */
  readonly search?: string | undefined;
  readonly statuses?: readonly string[] | undefined;
  readonly listed?: boolean | undefined;
  readonly baseImage?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly kmsSlug?: string | undefined;
  readonly kmsType?: string | undefined;
  /** Name or number. */
  readonly node?: string | undefined;
  readonly region?: string | undefined;
}

/** CVMs by app, the newest app first. @param views oldest first */
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
