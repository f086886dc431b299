import type { AppCompose } from "./app-compose.ts";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "./compose-hash.ts";
import { cloudSdkForm } from "./compose-hash-forms/cloud-sdk.ts";
import type { ComposeHashForm } from "./compose-hash-forms/compose-hash-form.ts";
import { hashInEveryForm } from "./compose-hash-forms/registry.ts";
import type { ComposeHash } from "./ids.ts";
import { type LikelyEdit, listIgnoredChanges, listLikelyEdits } from "./likely-edits.ts";

export interface HashMismatch {
  /** The document the CVM has now; left out for a new CVM. */
  readonly current?: AppCompose | undefined;
  /** Its exact text, where that is known. */
  readonly currentText?: string | undefined;
  /** The document the cloud was asked for. */
  readonly requested: AppCompose;
  /** The hash the cloud wants allowed, which is not that of the canonical text of `requested`. */
  readonly fromCloud: ComposeHash;
  /** The CVM's own name, which the cloud may have put in place of the manifest's. */
  readonly cvmName?: string | undefined;
}

export interface HashMismatchDiagnosis {
  /**
   * `form`: the document asked for, written differently. `unchanged`: the current document. `fields`: the document asked
   * for, but for the fields named. `unknown`: none of these.
   */
  readonly kind: "form" | "unchanged" | "fields" | "unknown";
  /** The fields that differ from what was asked for; empty unless `kind` is `fields`. */
  readonly fields: readonly string[];
  /** Name of the form of writing that the hash belongs to, where it is not our canonical one. */
  readonly form?: string;
  /** One clause, to follow "the hash differs: ". */
  readonly explanation: string;
}

type WrittenForm = Pick<ComposeHashForm, "name" | "description">;

/**
 * Finds out why a cloud's hash is not the one expected, by trying what official clients and the platform are known to
 * do. An answer other than `unknown` is proven: the document it describes has exactly this hash.
 */
export function diagnoseHashMismatch(mismatch: HashMismatch): HashMismatchDiagnosis {
  return (
    diagnoseForm(mismatch) ??
    diagnoseCurrent(mismatch) ??
    diagnoseOneEdit(mismatch) ??
    diagnoseSeveralEdits(mismatch) ??
    admitDefeat(mismatch)
  );
}

function admitDefeat(mismatch: HashMismatch): HashMismatchDiagnosis {
  const asked = listIgnoredChanges(mismatch).map(({ field }) => field);
  const changes = asked.length === 0 ? "" : ` (asked for were changes of ${asked.join(", ")})`;
  return {
    kind: "unknown",
    fields: [],
    explanation: `no known form of writing and no likely change of one or two fields explains it${changes}`,
  };
}

function diagnoseForm({ requested, fromCloud }: HashMismatch): HashMismatchDiagnosis | undefined {
  const form = findForm(requested, fromCloud);
  if (form === undefined) return undefined;
  return {
    kind: "form",
    fields: [],
    form: form.name,
    explanation: `the cloud's hash is that of the same document in another form: ${describe(form)}`,
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
    explanation: `the cloud's hash is that of the current document${inForm(form)}, so it ignored every change`,
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

/** Only the four-space forms are tried here: the number of documents times the number of forms is too large. */
function diagnoseSeveralEdits(mismatch: HashMismatch): HashMismatchDiagnosis | undefined {
  const { requested, fromCloud } = mismatch;
  const ignoredChanges = listIgnoredChanges(mismatch);
  for (const edits of [...listPairs(listLikelyEdits(mismatch)), ...listSubsets(ignoredChanges)]) {
    const document = apply(requested, edits);
    const text = writeAppCompose(document);
    if (hashAppComposeText(text) === fromCloud) return diagnoseEdits(edits);
    // Only such a text is written differently by the cloud's SDK.
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
    explanation: `the cloud's hash is that of the document with ${described}${inForm(form)}`,
  };
}

/** The form of writing, other than the canonical one, in which a document has this hash. */
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

/** Every selection of three or more; nobody changes more fields at once than the limit allows for. */
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
