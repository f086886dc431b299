import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";
import { compareAsJavaScript } from "./key-order.ts";

/** JSON with keys sorted at every depth, four spaces of indentation and no space after a colon. */
export function writeCanonicalJson(value: JsonValue): string {
  return write(value, "\n");
}

function write(value: JsonValue, lineBreak: string): string {
  const inner = `${lineBreak}    `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[${inner}${value.map((item) => write(item, inner)).join(`,${inner}`)}${lineBreak}]`;
  }
  if (isJsonObject(value)) {
    const members = writeMembers(value, inner);
    return members.length === 0 ? "{}" : `{${inner}${members.join(`,${inner}`)}${lineBreak}}`;
  }
  return JSON.stringify(value);
}

function writeMembers(object: JsonObject, lineBreak: string): string[] {
  const members: string[] = [];
  for (const key of Object.keys(object).sort(compareAsJavaScript)) {
    const value = object[key];
    if (value !== undefined) members.push(`${JSON.stringify(key)}:${write(value, lineBreak)}`);
  }
  return members;
}
