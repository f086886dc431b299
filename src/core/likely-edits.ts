import type { AppCompose } from "./app-compose.ts";
import { diffAppCompose } from "./diff-app-compose.ts";
import type { JsonValue } from "./json.ts";

/** One thing the cloud may have done differently from what it was asked for. */
export interface LikelyEdit {
  readonly field: string;
  /** `undefined`: the field is left out. */
  readonly value: JsonValue | undefined;
  /** Completes "the document with …". */
  readonly description: string;
}

export interface ListLikelyEditsParameters {
  readonly current?: AppCompose | undefined;
  readonly requested: AppCompose;
  readonly cvmName?: string | undefined;
}

const flags = [
  "public_logs",
  "public_sysinfo",
  "public_tcbinfo",
  "kms_enabled",
  "gateway_enabled",
  "tproxy_enabled",
  "local_key_provider_enabled",
  "no_instance_id",
  "secure_time",
] as const;

/** Values that the platform is known to put in by itself. */
const injected: Readonly<Record<string, readonly JsonValue[]>> = {
  ...Object.fromEntries(flags.map((flag) => [flag, [true, false]])),
  name: [""],
  features: [[], ["kms"], ["kms", "tproxy-net"]],
  allowed_envs: [[]],
  manifest_version: [1, 2, 3],
  runner: ["docker-compose"],
  storage_fs: ["zfs", "ext4"],
};

/**
 * What a cloud is known to do to a document on its way: ignoring a change, injecting or removing a field, reordering
 * names, touching the ends of lines. Most likely first; edits without effect are left out.
 */
export function listLikelyEdits(parameters: ListLikelyEditsParameters): LikelyEdit[] {
  const { requested } = parameters;
  const edits = [
    ...listIgnoredChanges(parameters),
    ...listTextEdits(requested),
    ...listNameEdits(parameters),
    ...listEnvironmentEdits(parameters),
    ...Object.keys(requested).map((field) => ({ field, value: undefined, description: `${field} left out` })),
    ...Object.entries(injected).flatMap(([field, values]) => values.map((value) => setTo(field, value))),
  ];
  const seen = new Set(Object.entries(requested).map(([field, value]) => identify(field, value)));
  return edits.filter(({ field, value }) => {
    const id = identify(field, value);
    const isNew = !seen.has(id) && !(value === undefined && requested[field] === undefined);
    seen.add(id);
    return isNew;
  });
}

/** The edits that keep a field of the current document. */
export function listIgnoredChanges({ current, requested }: ListLikelyEditsParameters): LikelyEdit[] {
  if (current === undefined) return [];
  return diffAppCompose(current, requested).map(({ field }) => ({
    field,
    value: current[field],
    description: `${field} as it was before`,
  }));
}

function listNameEdits({ cvmName }: ListLikelyEditsParameters): LikelyEdit[] {
  return cvmName === undefined ? [] : [{ field: "name", value: cvmName, description: "name set to the CVM's name" }];
}

function listTextEdits(requested: AppCompose): LikelyEdit[] {
  const fields = ["docker_compose_file", "pre_launch_script", "bash_script"] as const;
  return fields.flatMap((field) => {
    const text = requested[field];
    if (typeof text !== "string") return [];
    const edit = (value: string, description: string) => ({ field, value, description: `${field} ${description}` });
    return [
      edit(`${text}\n`, "ending in one more newline"),
      edit(text.replace(/\r?\n$/, ""), "without its last newline"),
      edit(text.trimEnd(), "without white space at its end"),
      edit(text.trim(), "without white space at both ends"),
      edit(text.replaceAll("\r\n", "\n"), "with LF line ends"),
      edit(text.replace(/\r?\n/g, "\r\n"), "with CRLF line ends"),
      edit(text.replace(/[ \t]+$/gm, ""), "without white space at the ends of its lines"),
      edit(text.replace(/^\ufeff/, ""), "without its byte order mark"),
    ];
  });
}

function listEnvironmentEdits({ current, requested }: ListLikelyEditsParameters): LikelyEdit[] {
  const names = requested.allowed_envs ?? [];
  const before = current?.allowed_envs ?? [];
  const edit = (value: readonly string[], description: string) => ({ field: "allowed_envs", value, description });
  return [
    edit([...names].sort(), "allowed_envs sorted"),
    edit([...new Set([...before, ...names])], "allowed_envs added to those before"),
    edit([...new Set([...names, ...before])], "the old allowed_envs added"),
    edit([...new Set([...names, ...before])].sort(), "the old allowed_envs added and all sorted"),
  ];
}

function setTo(field: string, value: JsonValue): LikelyEdit {
  return { field, value, description: `${field} set to ${JSON.stringify(value)}` };
}

function identify(field: string, value: JsonValue | undefined): string {
  return JSON.stringify([field, value === undefined ? [] : [value]]);
}
