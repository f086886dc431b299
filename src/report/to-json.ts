/**
 * One line of JSON. Bigints become decimal strings, maps objects and sets arrays: no digit is lost on any reader. What
 * could steer a terminal is escaped, also where JSON itself would not ask for it.
 */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return part.toString();
    if (part instanceof Map) return Object.fromEntries(part);
    return part instanceof Set ? [...part] : part;
  });
  return json.replace(/[\p{Cc}\p{Cf}]/gu, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}
