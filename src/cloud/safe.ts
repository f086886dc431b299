import { type DstackError, isDstackError } from "../errors/index.ts";

export type SafeResult<Data> =
  | { readonly success: true; readonly data: Data }
  | { readonly success: false; readonly error: DstackError };

/** The same action with its refusals as values. What this package does not throw on purpose is still thrown. */
export function safe<Arguments extends readonly unknown[], Data>(
  action: (...args: Arguments) => Promise<Data>,
): (...args: Arguments) => Promise<SafeResult<Data>> {
  return async (...args) => {
    try {
      return { success: true, data: await action(...args) };
    } catch (error) {
      if (!isDstackError(error)) throw error;
      return { success: false, error };
    }
  };
}
