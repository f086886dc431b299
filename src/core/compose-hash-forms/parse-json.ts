import type { JsonValue } from "../json.ts";
import { parseJsonTree } from "../parse-json-tree.ts";

/**
 * `JSON.parse`, for the forms that know no more of a document than JavaScript does.
 *
 * @throws InvalidAppComposeError with line and column
 */
export function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text);
  } catch (error) {
    parseJsonTree(text); // throws the error that says where
    throw error;
  }
}
