import type { AppCompose } from "./app-compose.ts";
import type { JsonValue } from "./json.ts";
import { normaliseAppCompose } from "./normalise-app-compose.ts";
import { writeCanonicalJson } from "./write-canonical-json.ts";

export interface AppComposeDifference {
  readonly field: string;
  /** `undefined` where the document does not have the field. */
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
  /** Where both sides are texts: the first line that is not the same. */
  readonly firstDifferingLine?: DifferingLine;
}

export interface DifferingLine {
  /** From 1. */
  readonly number: number;
  /** Without the line feed, with a carriage return if there is one; `undefined` where the text has ended already. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * The fields in which two manifests hash differently, sorted by name. What cannot take effect, such as an empty
 * pre-launch script, is not compared.
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
  const first = index === -1 ? left.length : index; // then `before` is the beginning of `after`
  const line = { number: first + 1, before: lineAt(left, right, first), after: lineAt(right, left, first) };
  return { ...difference, firstDifferingLine: line };
}

/** What follows a text's last line feed is no line, unless that line feed is all that differs. */
function lineAt(lines: readonly string[], others: readonly string[], index: number): string | undefined {
  const isEnd = index === lines.length - 1 && lines[index] === "";
  return isEnd && others[index] !== undefined ? undefined : lines[index];
}
