// Largest integer that JavaScript treats as an array index, and therefore lists before all other keys of an object.
const largestArrayIndex = 2 ** 32 - 2;

/** The order in which a JavaScript object lists keys that were added sorted: array indices by value, then UTF-16 units. */
export function compareAsJavaScript(a: string, b: string): number {
  const first = isArrayIndex(a);
  const second = isArrayIndex(b);
  if (first && second) return Number(a) - Number(b);
  if (first !== second) return first ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

/** The order of Python and Go: by code point, so an astral character stands after every other. */
export function compareCodePoints(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const difference = codePoint(left, index) - codePoint(right, index);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function isArrayIndex(key: string): boolean {
  return /^(0|[1-9]\d{0,9})$/.test(key) && Number(key) <= largestArrayIndex;
}

function codePoint(characters: readonly string[], index: number): number {
  return characters[index]?.codePointAt(0) ?? 0;
}
