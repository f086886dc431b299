import { computeComposeHash } from "../compose-hash.ts";
import { hashInEveryForm } from "../compose-hash-forms/registry.ts";
import type { ComposeHash } from "../ids.ts";
import type { AppDocument } from "./read-app-document.ts";

export interface DocumentHash {
  /** `canonical` is ours, which the platform's SDK writes too but for two rare exceptions. */
  readonly form: string;
  readonly description: string;
  /** Whether what cannot take effect was dropped first. */
  readonly normalised: boolean;
  readonly hash: ComposeHash;
}

/** The hash of a manifest in every official form, the likeliest first. */
export function listDocumentHashes({ document, text }: AppDocument): DocumentHash[] {
  const canonical: DocumentHash = {
    form: "canonical",
    description: "four spaces of indentation, keys sorted at every depth: what an update with this package asks for",
    normalised: true,
    hash: computeComposeHash(document),
  };
  const official = hashInEveryForm(text ?? JSON.stringify(document))
    // A manifest that no file holds has no bytes of its own.
    .filter(({ form }) => text !== undefined || form.name !== "raw-bytes")
    .map(({ form: { name, description }, normalised, hash }) => ({ form: name, description, normalised, hash }));
  return [canonical, ...official];
}
