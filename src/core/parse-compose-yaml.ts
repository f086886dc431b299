import { type Document, parseDocument } from "yaml";

/** Reads a docker compose file as Docker does. Faults of syntax are in `errors`. @throws of nesting beyond the stack */
export function parseComposeYaml(text: string): Document {
  // Docker resolves merge keys (<<), which YAML 1.2 does not have.
  return parseDocument(text, { logLevel: "silent", prettyErrors: true, merge: true });
}
