import { isMap, parseDocument } from "yaml";
import { InvalidAppComposeError } from "../../errors/index.ts";
import { type AppCompose, buildAppCompose, changeAppCompose, parseAppCompose } from "../app-compose.ts";

/** The manifest a file stands for. */
export interface AppDocument {
  /**
   * `app-compose`: the file is the manifest. `changed`: the file is the docker compose file of a CVM, put into that
   * CVM's manifest. `built`: it is one of no CVM, in a manifest with the platform's defaults, which a guess is.
   */
  readonly kind: "app-compose" | "changed" | "built";
  readonly document: AppCompose;
  /** The exact text, where the file is the manifest: key order and the spelling of numbers count in some forms. */
  readonly text: string | undefined;
}

export interface ReadAppDocumentParameters {
  /** An app-compose manifest (JSON) or a docker compose file (YAML). */
  readonly text: string;
  /** The manifest in force of the CVM it is for. */
  readonly current?: AppCompose | undefined;
  readonly preLaunchScript?: string | undefined;
  /** For a docker compose file of no CVM. */
  readonly name?: string | undefined;
}

/**
 * Reads the manifest, or makes the one an update with this docker compose file would ask for.
 *
 * @throws InvalidAppComposeError, PayloadTooLargeError
 */
export function readAppDocument({ text, current, preLaunchScript, name }: ReadAppDocumentParameters): AppDocument {
  if (isManifest(text)) {
    if (preLaunchScript !== undefined) {
      throw new InvalidAppComposeError("An app-compose manifest has its own pre-launch script.", {
        nextStep: "Leave out the script, or give the docker compose file instead of the manifest.",
      });
    }
    return { kind: "app-compose", document: parseAppCompose(text), text };
  }
  const changes = { dockerCompose: text, preLaunchScript };
  return current === undefined
    ? { kind: "built", document: buildAppCompose({ ...changes, name }), text: undefined }
    : { kind: "changed", document: changeAppCompose(current, changes), text: undefined };
}

/** A docker compose file may be JSON too; what tells them apart is the mapping of services. */
function isManifest(text: string): boolean {
  if (!/^\s*\{/.test(text)) return false;
  const { contents } = parseDocument(text, { logLevel: "silent" });
  return !(isMap(contents) && contents.has("services") && !contents.has("docker_compose_file"));
}
