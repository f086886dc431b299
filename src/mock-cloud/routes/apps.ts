import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  app20251028Schema,
  app20260121Schema,
  appFilterOptionsSchema,
  appList20251028Schema,
  appList20260121Schema,
  cvmInfo20251028Schema,
  cvmInfo20260121Schema,
  isAtLeast,
} from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";
import { type AppView, groupByApp, matchesFilter, toApp20251028, toApp20260121 } from "../http/app-answers.ts";
import { toCvmInfo20251028, toCvmInfo20260121 } from "../http/cvm-answers.ts";
import { pageQuery, paginate } from "../http/error-answers.ts";
import { appParams, described, refusals, versionHeaders } from "../http/schemas.ts";
import { findAppCvms, viewCvm } from "../services/find.ts";
import { uptimeOf } from "../services/guest.ts";
import type { KmsRuntime } from "../services/kms.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";

export interface AppRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
}

const oneOrMore = z.union([z.string(), z.array(z.string())]).optional();

const appQuery = pageQuery.extend({
  search: described(z.string().optional(), "Part of a name or an app id."),
  status: described(oneOrMore, "Repeat it to match any of several values."),
  "status[]": oneOrMore,
  listed: z.enum(["true", "false"]).optional(),
  base_image: z.string().optional(),
  instance_type: z.string().optional(),
  kms_slug: z.string().optional(),
  kms_type: z.string().optional(),
  node: described(z.string().optional(), "Name or number."),
  region: z.string().optional(),
});

/** An app is the set of CVMs with the same app id, and so with the same contract. */
export const appRoutes: FastifyPluginAsyncZod<AppRoutesOptions> = async (app, { store, kmsRuntime, clock }) => {
  const tags = ["apps"];
  const view = (cvm: Cvm) => viewCvm(store, kmsRuntime, cvm);
  const viewWorkspace = (workspaceId: string) => store.cvms.inWorkspace(workspaceId).map(view);

  app.get(
    "/apps",
    {
      schema: {
        tags,
        summary: "The workspace's apps, the newest first",
        headers: versionHeaders,
        querystring: appQuery,
        response: { ...refusals, 200: z.union([appList20260121Schema, appList20251028Schema]) },
      },
    },
    async ({ query, principal, apiVersion }) => {
      const { base_image, instance_type, kms_slug, kms_type, listed } = query;
      const statuses = [query.status, query["status[]"]].flat().filter((status) => status !== undefined);
      const filter = {
        search: query.search,
        statuses: statuses.length > 0 ? statuses : undefined,
        listed: listed === undefined ? undefined : listed === "true",
        baseImage: base_image,
        instanceType: instance_type,
        kmsSlug: kms_slug,
        kmsType: kms_type,
        node: query.node,
        region: query.region,
      };
      const apps = groupByApp(viewWorkspace(principal.workspace.id)).filter((views) => matchesFilter(views, filter));
      const { items, pages, ...page } = paginate(apps, query);
      return isAtLeast(apiVersion, "2026-01-21")
        ? { dstack_apps: items.map(toApp20260121), ...page, total_pages: pages }
        : { dstack_apps: items.map(toApp20251028), ...page, total_pages: pages };
    },
  );

  app.get(
    "/apps/filter-options",
    {
      schema: {
        tags,
        summary: "The existing values of each filter of apps",
        response: { ...refusals, 200: appFilterOptionsSchema },
      },
    },
    async ({ principal }) => {
      const views = viewWorkspace(principal.workspace.id);
      return {
        statuses: distinct(views.map(({ cvm }) => cvm.status)),
        image_versions: distinct(views.map(({ cvm }) => cvm.settings.osImage)),
        instance_types: distinct(views.map(({ cvm }) => cvm.settings.instanceType)),
        kms_slugs: distinct(views.map(({ kms }) => kms.slug)),
        kms_types: distinct(views.map(({ kms }) => kms.type)),
        regions: distinct(views.map(({ node }) => node.region)),
        nodes: distinct(views.map(({ node }) => node.name)),
      };
    },
  );

  app.get(
    "/apps/:app_id",
    {
      schema: {
        tags,
        summary: "One app and its CVMs",
        headers: versionHeaders,
        params: appParams,
        response: { ...refusals, 200: z.union([app20260121Schema, app20251028Schema]) },
      },
    },
    async ({ params, principal, apiVersion }) => {
      const [first, ...rest] = findAppCvms(store.cvms, principal.workspace.id, params.app_id);
      const views: AppView = [view(first), ...rest.map(view)];
      return isAtLeast(apiVersion, "2026-01-21") ? toApp20260121(views) : toApp20251028(views);
    },
  );

  app.get(
    "/apps/:app_id/cvms",
    {
      schema: {
        tags,
        summary: "The CVMs of an app, oldest first",
        headers: versionHeaders,
        params: appParams,
        response: { ...refusals, 200: z.union([z.array(cvmInfo20260121Schema), z.array(cvmInfo20251028Schema)]) },
      },
    },
    async ({ params, principal, apiVersion }) => {
      const cvms = findAppCvms(store.cvms, principal.workspace.id, params.app_id);
      if (isAtLeast(apiVersion, "2026-01-21")) return cvms.map((cvm) => toCvmInfo20260121(view(cvm)));
      return cvms.map((cvm) => toCvmInfo20251028(view(cvm), uptimeOf(store, cvm, clock.now())));
    },
  );
};

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}
