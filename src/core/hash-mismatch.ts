import { type AppCompose, flagFields, normaliseAppCompose } from "./app-compose.ts";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "./compose-hash.ts";
import type { ComposeHashForm } from "./compose-hash-forms/form.ts";
import { hashInEveryForm } from "./compose-hash-forms/forms.ts";
import { cloudSdkForm } from "./compose-hash-forms/javascript.ts";
import type { ComposeHash } from "./ids.ts";
import { type JsonValue, writeCanonicalJson } from "./json.ts";

export interface HashMismatch {
  /** The CVM's current document. Absent for a new CVM. */
  readonly current?: AppCompose | undefined;
  /** Exact text of `current`, if known. */
  readonly currentText?: string | undefined;
  /** The document that the caller sent to the cloud. */
  readonly requested: AppCompose;
  /** The hash that the cloud asks to allow. It differs from the hash of the canonical text of `requested`. */
  readonly fromCloud: ComposeHash;
  /** The CVM's own name. The cloud may have written it over the manifest's name. */
  readonly cvmName?: string | undefined;
}

export interface HashMismatchDiagnosis {
  /**
   * `form`: the requested document in another serialisation. `unchanged`: the current document. `fields`: the requested
   * document, except for the fields in `fields`. `unknown`: none of these.
   */
  readonly kind: "form" | "unchanged" | "fields" | "unknown";
  /** Fields that differ from the requested document. Empty unless `kind` is `fields`. */
  readonly fields: readonly string[];
  /** Name of the serialisation form that has this hash, if it is not the canonical one. */
  readonly form?: string;
  /** One clause that continues "the hash differs: ". */
  readonly explanation: string;
}

type WrittenForm = Pick<ComposeHashForm, "name" | "description">;

/**
 * Explains why the cloud's hash differs from the expected hash. Tries the changes that official clients and the
 * platform are known to make. Every answer except `unknown` is proven: the described document has exactly this hash.
 *
 * @example
 * import { diagnoseHashMismatch } from "dstack-toolkit";
 * import { composeHash, document } from "./app.js";
 * const { kind, explanation } = diagnoseHashMismatch({ requested: document, fromCloud: composeHash });
 */
export function diagnoseHashMismatch(mismatch: HashMismatch): HashMismatchDiagnosis {
  return (
    diagnoseForm(mismatch) ??
    diagnoseCurrent(mismatch) ??
    diagnoseOneEdit(mismatch) ??
    diagnoseSeveralEdits(mismatch) ??
    reportUnknown(mismatch)
  );
}

function reportUnknown(mismatch: HashMismatch): HashMismatchDiagnosis {
  const asked = listIgnoredChanges(mismatch).map(({ field }) => field);
  const changes = asked.length === 0 ? "" : ` (the update requested changes of ${asked.join(", ")})`;
  return {
    kind: "unknown",
    fields: [],
    explanation: `no known form and no likely change of one or two fields explains it${changes}`,
  };
}

function diagnoseForm({ requested, fromCloud }: HashMismatch): HashMismatchDiagnosis | undefined {
  const form = findForm(requested, fromCloud);
  if (form === undefined) return undefined;
  return {
    kind: "form",
    fields: [],
    form: form.name,
    explanation: `the cloud's hash is the hash of the same document in another form: ${describe(form)}`,
  };
}

function diagnoseCurrent(mismatch: HashMismatch): HashMismatchDiagnosis | undefined {
  const { current, currentText, fromCloud } = mismatch;
  const isText = currentText !== undefined && hashAppComposeText(currentText) === fromCloud;
  const isCanonical = current !== undefined && computeComposeHash(current) === fromCloud;
  const form = isText || isCanonical || current === undefined ? undefined : findForm(current, fromCloud);
  if (!isText && !isCanonical && form === undefined) return undefined;
  return {
    kind: "unchanged",
    fields: [],
    ...(form !== undefined && { form: form.name }),
    explanation: `the cloud's hash is the hash of the current document${inForm(form)}, so the cloud ignored every change`,
  };
}

function diagnoseOneEdit(mismatch: HashMismatch): HashMismatchDiagnosis | undefined {
  const { requested, fromCloud } = mismatch;
  const edits = listLikelyEdits(mismatch);
  for (const edit of edits) {
    if (computeComposeHash(apply(requested, [edit])) === fromCloud) return diagnoseEdits([edit]);
  }
  for (const edit of edits) {
    const form = findForm(apply(requested, [edit]), fromCloud);
    if (form !== undefined) return diagnoseEdits([edit], form);
  }
  return undefined;
}

/** Tries the four-space forms only: every document in every form would be too many combinations. */
function diagnoseSeveralEdits(mismatch: HashMismatch): HashMismatchDiagnosis | undefined {
  const { requested, fromCloud } = mismatch;
  const ignoredChanges = listIgnoredChanges(mismatch);
  for (const edits of [...listPairs(listLikelyEdits(mismatch)), ...listSubsets(ignoredChanges)]) {
    const document = apply(requested, edits);
    const text = writeAppCompose(document);
    if (hashAppComposeText(text) === fromCloud) return diagnoseEdits(edits);
    // The cloud's SDK writes a text differently only if it contains `": `.
    const inSdkForm = text.includes('": ') ? cloudSdkForm.write(JSON.stringify(document)) : undefined;
    if (inSdkForm !== undefined && hashAppComposeText(inSdkForm) === fromCloud) {
      return diagnoseEdits(edits, cloudSdkForm);
    }
  }
  return undefined;
}

function diagnoseEdits(edits: readonly LikelyEdit[], form?: WrittenForm): HashMismatchDiagnosis {
  const described = edits.map(({ description }) => description).join(" and ");
  return {
    kind: "fields",
    fields: edits.map(({ field }) => field),
    ...(form !== undefined && { form: form.name }),
    explanation: `the cloud's hash is the hash of the document with ${described}${inForm(form)}`,
  };
}

/** Finds the serialisation form, other than the canonical one, in which the document has this hash. */
function findForm(document: AppCompose, hash: ComposeHash): WrittenForm | undefined {
  const text = JSON.stringify(document);
  const official = hashInEveryForm(text).find((entry) => entry.hash === hash);
  if (official !== undefined) return official.form;
  const plainTexts: Readonly<Record<string, string>> = {
    "the canonical text and a newline": `${writeAppCompose(document)}\n`,
    "two spaces of indentation, keys unsorted": JSON.stringify(document, null, 2),
    "four spaces of indentation, keys unsorted": JSON.stringify(document, null, 4),
  };
  const found = Object.entries(plainTexts).find(([, plainText]) => hashAppComposeText(plainText) === hash);
  return found && { name: "raw-bytes", description: found[0] };
}

function apply(document: AppCompose, edits: readonly LikelyEdit[]): AppCompose {
  return { ...document, ...Object.fromEntries(edits.map(({ field, value }) => [field, value])) };
}

function listPairs(edits: readonly LikelyEdit[]): LikelyEdit[][] {
  return edits.flatMap((first, index) =>
    edits.slice(index + 1).flatMap((second) => (first.field === second.field ? [] : [[first, second]])),
  );
}

/** Returns every combination of three or more edits. Uses only the first eight edits, to bound the work. */
function listSubsets(edits: readonly LikelyEdit[]): LikelyEdit[][] {
  const limited = edits.slice(0, 8);
  const selections = Array.from({ length: 2 ** limited.length }, (_, bits) =>
    limited.filter((_, index) => (bits & (1 << index)) !== 0),
  );
  return selections.filter(({ length }) => length > 2);
}

function inForm(form: WrittenForm | undefined): string {
  return form === undefined ? "" : `, written as ${describe(form)}`;
}

function describe({ name, description }: WrittenForm): string {
  return `${name} (${description})`;
}

/**
 * Like `diagnoseHashMismatch`, but returns one clause that continues "the hash differs: ".
 *
 * @example
 * import { explainHashMismatch } from "dstack-toolkit";
 * import { composeHash, document } from "./app.js";
 * console.log(explainHashMismatch({ requested: document, fromCloud: composeHash }));
 */
export function explainHashMismatch(mismatch: HashMismatch): string {
  return diagnoseHashMismatch(mismatch).explanation;
}

/** One change that the cloud may have made to the requested document. */
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

/** Values that the platform is known to insert. */
const injected: Readonly<Record<string, readonly JsonValue[]>> = {
  ...Object.fromEntries(flagFields.map((flag) => [flag, [true, false]])),
  name: [""],
  features: [[], ["kms"], ["kms", "tproxy-net"]],
  allowed_envs: [[]],
  manifest_version: [1, 2, 3],
  runner: ["docker-compose"],
  storage_fs: ["zfs", "ext4"],
};

/**
 * Lists the changes that a cloud is known to make to a document: it ignores a change, adds or removes a field, reorders
 * names, or changes line ends and white space. Most likely first. Leaves out edits that change nothing.
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

/** Lists the edits that keep a field as it is in the current document. */
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
      edit(`${text}\n`, "one more newline at its end"),
      edit(text.replace(/\r?\n$/, ""), "without the newline at its end"),
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
    edit([...new Set([...before, ...names])], "the new allowed_envs added to the old ones"),
    edit([...new Set([...names, ...before])], "the old allowed_envs added"),
    edit([...new Set([...names, ...before])].sort(), "the old allowed_envs added and the list sorted"),
  ];
}

function setTo(field: string, value: JsonValue): LikelyEdit {
  return { field, value, description: `${field} set to ${JSON.stringify(value)}` };
}

function identify(field: string, value: JsonValue | undefined): string {
  return JSON.stringify([field, value === undefined ? [] : [value]]);
}

export interface AppComposeDifference {
  readonly field: string;
  /** `undefined` where the document does not have the field. */
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
  /** The first line that differs, if both values are texts. */
  readonly firstDifferingLine?: DifferingLine;
}

export interface DifferingLine {
  /** From 1. */
  readonly number: number;
  /**
   * Without the line feed, but with a carriage return if there is one. `undefined` if the text ended before this line.
   */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * Returns the fields whose difference changes the hash, sorted by name. Does not compare fields without effect, such as
 * an empty pre-launch script.
 *
 * @example
 * import { diffAppCompose } from "dstack-toolkit";
 * import { changed, document } from "./app.js";
 * for (const { field, before, after } of diffAppCompose(document, changed)) console.log(field, before, after);
 */
export function diffAppCompose(before: AppCompose, after: AppCompose): AppComposeDifference[] {
  const left = normaliseAppCompose(before);
  const right = normaliseAppCompose(after);
  const fields = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...fields].sort().flatMap((field) => {
    const difference = { field, before: left[field], after: right[field] };
    return isSame(difference.before, difference.after) ? [] : [withLine(difference)];
  });
}

function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return writeCanonicalJson(a) === writeCanonicalJson(b);
}

function withLine(difference: AppComposeDifference): AppComposeDifference {
  const { before, after } = difference;
  if (typeof before !== "string" || typeof after !== "string") return difference;
  const left = before.split("\n");
  const right = after.split("\n");
  const index = left.findIndex((line, index) => line !== right[index]);
  const first = index === -1 ? left.length : index; // then `after` begins with all lines of `before`
  const line = { number: first + 1, before: lineAt(left, right, first), after: lineAt(right, left, first) };
  return { ...difference, firstDifferingLine: line };
}

/** The empty string after a text's last line feed is not a line, unless that line feed is the only difference. */
function lineAt(lines: readonly string[], others: readonly string[], index: number): string | undefined {
  const isEnd = index === lines.length - 1 && lines[index] === "";
  return isEnd && others[index] !== undefined ? undefined : lines[index];
}
