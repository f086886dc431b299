/**
 * Template tag for paths below the API's base: every placeholder becomes exactly one segment.
 *
 * @throws TypeError for an identifier that cannot be a segment: it would address another endpoint
 */
export function apiPath(literals: TemplateStringsArray, ...segments: readonly string[]): string {
  return String.raw({ raw: literals }, ...segments.map(encodeSegment));
}

function encodeSegment(segment: string): string {
  // URL parsers resolve "." and ".." even when they are percent-encoded.
  if (segment === "" || segment === "." || segment === "..") {
    throw new TypeError(`"${segment}" is not an identifier.`);
  }
  return encodeURIComponent(segment);
}
