import { hashAppComposeText } from "../compose-hash.ts";
import type { ComposeHash } from "../ids.ts";
import type { ComposeHashForm } from "./form.ts";
import { dstackGoForm } from "./go.ts";
import { cloudSdkForm, dstackJsForm } from "./javascript.ts";
import { deploymentGuideForm, dstackPythonForm } from "./python.ts";

export const rawBytesForm: ComposeHashForm = {
  name: "raw-bytes",
  description: "the document exactly as given, which is how a CVM measures its file",
  normalisation: "never",
  write: (text) => text,
};

/** The official forms other than our canonical one, most likely first. */
export const composeHashForms: readonly ComposeHashForm[] = [
  cloudSdkForm,
  deploymentGuideForm,
  dstackJsForm,
  dstackPythonForm,
  dstackGoForm,
  rawBytesForm,
];

export interface ComposeHashInForm {
  readonly form: ComposeHashForm;
  readonly normalised: boolean;
  /** What is hashed. */
  readonly text: string;
  readonly hash: ComposeHash;
}

/**
 * Returns the hash of a manifest (JSON text) in every official form. Leaves out a form if its original raises an error.
 *
 * @throws InvalidAppComposeError if `text` is not JSON
 *
 * @example
 * import { hashInEveryForm } from "dstack-toolkit";
 * import { document } from "./app.js";
 * for (const { form, hash } of hashInEveryForm(JSON.stringify(document))) console.log(form.name, hash);
 */
export function hashInEveryForm(text: string): ComposeHashInForm[] {
  return composeHashForms.flatMap((form) =>
    variants[form.normalisation].flatMap((normalise) => {
      const written = form.write(text, { normalise });
      return written === undefined
        ? []
        : [{ form, normalised: normalise, text: written, hash: hashAppComposeText(written) }];
    }),
  );
}

const variants = { always: [true], never: [false], optional: [false, true] } as const;
