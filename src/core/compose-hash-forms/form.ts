/**
 * One of the official ways to serialise a manifest to the bytes that are hashed. They differ; see `composeHashForms`.
 */
export interface ComposeHashForm {
  readonly name: string;
  /** Where it comes from and what it looks like, as one clause. */
  readonly description: string;
  /** Whether it removes fields without effect (see `normaliseAppCompose`) before writing. */
  readonly normalisation: "always" | "optional" | "never";
  /**
   * Returns the text that is hashed, or `undefined` if the original raises an error instead.
   *
   * @param text the manifest as JSON; key order and the spelling of numbers count in some forms
   * @throws InvalidAppComposeError if `text` is not JSON
   */
  write(text: string, options?: ComposeHashFormOptions): string | undefined;
}

export interface ComposeHashFormOptions {
  /** Used only if normalisation is optional. @default false */
  readonly normalise?: boolean;
}
