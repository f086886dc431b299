import { InvalidArgumentError } from "../../errors/index.ts";

/**
 * Template tag for paths below the API's base: every placeholder becomes exactly one segment.
 *
 * @throws InvalidArgumentError for an identifier that would address another endpoint
 */
export function apiPath(literals: TemplateStringsArray, ...segments: readonly string[]): string {
  return String.raw({ raw: literals }, ...segments.map(encodeSegment));
}

function encodeSegment(segment: string): string {
  // URL parsers resolve "." and ".." even when they are percent-encoded.
  if (segment === "" || segment === "." || segment === "..") {
    throw new InvalidArgumentError(`"${segment}" is not an identifier.`, { nextStep: "Give a name or an id." });
  }
  return encodeURIComponent(segment);
}
