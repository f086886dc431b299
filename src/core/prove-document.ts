import { type AppCompose, normaliseAppCompose } from "./app-compose.ts";
import { computeComposeHash } from "./compose-hash.ts";
import { hashInEveryForm, rawBytesForm } from "./compose-hash-forms/forms.ts";
import type { ComposeHash } from "./ids.ts";
import { type JsonObject, parseJsonTree, toJsonObject, writeCanonicalJson } from "./json.ts";

/** A hash of a document. If an owner has allowed the hash, the owner has allowed this document and no other. */
export interface ProvingHash {
  readonly form: string;
  readonly hash: ComposeHash;
}

/**
 * Returns the hashes that prove a document from an untrusted source, most likely first. Some official forms leave out
 * unknown fields, so other documents can have the same hash. Therefore a form is used only if its text contains
 * everything that the document contains.
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
 * Returns a text that is equal for documents with the same meaning. The forms treat empty fields differently, and the
 * cloud SDK's form drops a space within strings.
 */
function contentOf(document: JsonObject): string {
  const members = Object.entries(normaliseAppCompose(document)).filter(([, value]) => !isEmpty(value));
  return writeCanonicalJson(Object.fromEntries(members)).replaceAll('": ', '":');
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);
}
