import { type AppCompose, normaliseAppCompose } from "./app-compose.ts";
import { computeComposeHash } from "./compose-hash.ts";
import { hashInEveryForm, rawBytesForm } from "./compose-hash-forms/forms.ts";
import type { ComposeHash } from "./ids.ts";
import { type JsonObject, parseJsonTree, toJsonObject, writeCanonicalJson } from "./json.ts";

/** A hash that, where an owner has allowed it, proves that the owner has allowed this document. */
export interface ProvingHash {
  readonly form: string;
  readonly hash: ComposeHash;
}

/**
 * The hashes of a document from an untrusted source that prove it, the likeliest first. Some official forms leave out
 * fields they do not know, so that other documents share the hash. A form counts only where its text still holds all
 * that the document holds.
 */
export function listProvingHashes(document: AppCompose): readonly ProvingHash[] {
  const content = contentOf(document);
  const official = hashInEveryForm(JSON.stringify(document))
    .filter(({ form, text }) => form !== rawBytesForm && contentOfText(text) === content)
    .map(({ form, hash }) => ({ form: form.name, hash }));
  const all = [{ form: "canonical", hash: computeComposeHash(document) }, ...official];
  return all.filter(({ hash }, index) => all.findIndex((other) => other.hash === hash) === index);
}

function contentOfText(text: string): string | undefined {
  const root = parseJsonTree(text);
  return root.kind === "object" ? contentOf(toJsonObject(root)) : undefined;
}

/**
 * Text that is equal for documents that mean the same. The forms differ in empty fields, and the cloud SDK's drops a space
 * within strings.
 */
function contentOf(document: JsonObject): string {
  const members = Object.entries(normaliseAppCompose(document)).filter(([, value]) => !isEmpty(value));
  return writeCanonicalJson(Object.fromEntries(members)).replaceAll('": ', '":');
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);
}
