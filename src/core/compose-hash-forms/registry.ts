import { hashAppComposeText } from "../compose-hash.ts";
import type { ComposeHash } from "../ids.ts";
import { cloudSdkForm } from "./cloud-sdk.ts";
import type { ComposeHashForm } from "./compose-hash-form.ts";
import { deploymentGuideForm } from "./deployment-guide.ts";
import { dstackGoForm } from "./dstack-go.ts";
import { dstackJsForm } from "./dstack-js.ts";
import { dstackPythonForm } from "./dstack-python.ts";
import { rawBytesForm } from "./raw-bytes.ts";

/** The official forms beside our own canonical one, most likely first. */
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
  readonly hash: ComposeHash;
}

/**
 * The hashes that the official forms give a manifest, written as JSON. A form is missing where its original raises.
 *
 * @throws InvalidAppComposeError where `text` is not JSON
 */
export function hashInEveryForm(text: string): ComposeHashInForm[] {
  return composeHashForms.flatMap((form) =>
    variants[form.normalisation].flatMap((normalise) => {
      const written = form.write(text, { normalise });
      return written === undefined ? [] : [{ form, normalised: normalise, hash: hashAppComposeText(written) }];
    }),
  );
}

const variants = { always: [true], never: [false], optional: [false, true] } as const;
