import { isMap, parseDocument } from "yaml";
import { InvalidAppComposeError } from "../errors/index.ts";
import { type AppCompose, buildAppCompose, changeAppCompose, parseAppCompose } from "./app-compose.ts";
import { computeComposeHash } from "./compose-hash.ts";
import { hashInEveryForm } from "./compose-hash-forms/forms.ts";
import { type AppComposeDifference, diagnoseHashMismatch, diffAppCompose } from "./hash-mismatch.ts";
import type { ComposeHash } from "./ids.ts";

/** What a backend reports about one CVM. */
export interface BackendDocument {
  readonly cvm: string;
  /** The hash the CVM was booted with. The contract checks it again at the next boot. */
  readonly composeHash: ComposeHash;
  readonly document: AppCompose;
}

export interface HashInputs {
  readonly document: AppDocument;
  readonly backend?: BackendDocument | undefined;
  /**
   * Tells whether the app's contract allows a hash. It must know all of `hashesToAsk`. Absent if no contract was asked.
   */
  readonly isAllowed?: ((hash: ComposeHash) => boolean) | undefined;
  /** A hash from another source, such as a log or an allowlist, to explain. */
  readonly given?: ComposeHash | undefined;
}

export interface ExaminedHash extends DocumentHash {
  /** Whether the CVM runs this hash. Undefined if no backend was asked. */
  readonly isInForce: boolean | undefined;
  /** Undefined if no chain was asked. */
  readonly isAllowed: boolean | undefined;
}

/** One sentence, and a name for programs. If `isGood` is false, the user has to act. */
export interface HashFinding {
  readonly kind:
    | "inForce"
    | "otherDocument"
    | "otherForm"
    | "backendContradictsItself"
    | "allowed"
    | "wrongFormAllowed"
    | "allowedAhead"
    | "notAllowed"
    | "runningHashNotAllowed"
    | "givenExplained"
    | "givenDiffers";
  readonly isGood: boolean;
  readonly text: string;
}

export interface HashExamination {
  readonly hashes: readonly ExaminedHash[];
  /** How the file's manifest differs from the CVM's, field by field; `before` is the CVM's. */
  readonly differences: readonly AppComposeDifference[];
  readonly findings: readonly HashFinding[];
  /** Whether the backend, the contract and the given hash, as far as asked, all match the file. */
  readonly isMatch: boolean;
}

/**
 * Returns the hashes to ask the contract about before `examineHashes` is called.
 *
 * @example
 * import { hashesToAsk } from "dstack-toolkit";
 * import { document } from "./app.js";
 * const hashes = hashesToAsk({ document: { kind: "app-compose", document, text: undefined } });
 */
export function hashesToAsk({ document, backend, given }: Omit<HashInputs, "isAllowed">): readonly ComposeHash[] {
  const own = listDocumentHashes(document).map(({ hash }) => hash);
  return [...new Set([...own, ...(backend ? [backend.composeHash] : []), ...(given ? [given] : [])])];
}

/**
 * Determines in which form the backend and the contract hash the manifest. If no form matches, reports what differs.
 *
 * @example
 * import { examineHashes } from "dstack-toolkit";
 * import { composeHash, document } from "./app.js";
 * const { findings } = examineHashes({
 *   document: { kind: "app-compose", document, text: undefined },
 *   backend: { cvm: "my-app", composeHash, document },
 * });
 * for (const { text } of findings) console.log(text);
 */
export function examineHashes(inputs: HashInputs): HashExamination {
  const { document, backend, isAllowed } = inputs;
  const hashes = listDocumentHashes(document).map((entry) => ({
    ...entry,
    isInForce: backend && entry.hash === backend.composeHash,
    isAllowed: isAllowed?.(entry.hash),
  }));
  const findings = [
    ...(backend === undefined ? [] : judgeBackend(document, backend, hashes)),
    ...judgeChain(inputs, hashes),
    ...judgeGiven(inputs, hashes),
  ];
  return {
    hashes,
    differences: backend === undefined ? [] : diffAppCompose(backend.document, document.document),
    findings,
    isMatch: findings.every(({ isGood }) => isGood),
  };
}

function judgeBackend(
  { document }: AppDocument,
  backend: BackendDocument,
  hashes: readonly ExaminedHash[],
): readonly HashFinding[] {
  const { cvm, composeHash } = backend;
  const inForce = hashes.find(({ isInForce }) => isInForce);
  if (inForce !== undefined) {
    return [good("inForce", `${cvm} runs this document: ${composeHash} is its hash in the form ${inForce.form}.`)];
  }
  const fields = diffAppCompose(backend.document, document).map(({ field }) => field);
  const own = listDocumentHashes({ kind: "app-compose", document: backend.document, text: undefined });
  const explanation = explain(backend, document);
  if (fields.length === 0) {
    return [
      bad(
        "otherForm",
        `The document of ${cvm} equals the file, but its hash ${composeHash} is not the file's hash in any official form: ${explanation}.`,
      ),
    ];
  }
  const differs = bad("otherDocument", `${cvm} runs another document: ${list(fields)} ${verb(fields)}.`);
  if (own.some(({ hash }) => hash === composeHash)) return [differs];
  return [
    differs,
    bad(
      "backendContradictsItself",
      `The document that the cloud returns for ${cvm} does not have the hash ${composeHash} in any official form (${explanation}). Do not compute a hash from this document.`,
    ),
  ];
}

/** Explains in one clause why the CVM's hash is not the file's hash. */
function explain({ composeHash, cvm, document: current }: BackendDocument, requested: AppCompose): string {
  return diagnoseHashMismatch({ current, requested, fromCloud: composeHash, cvmName: cvm }).explanation;
}

function judgeChain({ backend, isAllowed }: HashInputs, hashes: readonly ExaminedHash[]): readonly HashFinding[] {
  if (isAllowed === undefined) return [];
  const allowed = hashes.filter((entry) => entry.isAllowed);
  const inForce = hashes.find((entry) => entry.isInForce);
  const canonical = hashes[0]?.hash;
  const [first] = allowed;
  if (backend === undefined) {
    return first === undefined
      ? [bad("notAllowed", `The app does not allow this document in any form; its canonical hash is ${canonical}.`)]
      : [good("allowed", `The app allows this document in the form ${names(allowed)}: ${first.hash}.`)];
  }
  if (inForce !== undefined) {
    if (inForce.isAllowed)
      return [good("allowed", `The app allows ${inForce.hash}, so the next boot will be allowed.`)];
    return first === undefined
      ? [bad("notAllowed", `The app does not allow ${inForce.hash}, so the next boot will be refused.`)]
      : [
          bad(
            "wrongFormAllowed",
            `The app allows ${first.hash}, this document's hash in the form ${names(allowed)}, but not ${inForce.hash}, the hash of ${backend.cvm}: its next boot will be refused.`,
          ),
        ];
  }
  const ahead = allowed.find(({ hash }) => hash === canonical) ?? first;
  return [
    ...(isAllowed(backend.composeHash)
      ? []
      : [
          bad(
            "runningHashNotAllowed",
            `The app does not allow ${backend.composeHash}, the hash of ${backend.cvm}: its next boot will be refused.`,
          ),
        ]),
    ahead === undefined
      ? bad("notAllowed", `The app does not allow this document in any form; its canonical hash is ${canonical}.`)
      : good("allowedAhead", `The app already allows this document in the form ${names(allowed)}: ${ahead.hash}.`),
  ];
}

function judgeGiven(
  { document, backend, isAllowed, given }: HashInputs,
  hashes: readonly ExaminedHash[],
): readonly HashFinding[] {
  if (given === undefined) return [];
  const form = hashes.find(({ hash }) => hash === given);
  const word = isAllowed && (isAllowed(given) ? " The app allows it." : " The app does not allow it.");
  if (form !== undefined) {
    return [good("givenExplained", `${given} is the hash of this document in the form ${form.form}.${word ?? ""}`)];
  }
  const diagnosis = diagnoseHashMismatch({
    current: backend?.document,
    requested: document.document,
    fromCloud: given,
    cvmName: backend?.cvm,
  });
  const fields = diagnosis.fields.length === 0 ? "" : ` It differs in ${list(diagnosis.fields)}.`;
  return [bad("givenDiffers", `${given} is not this document's hash: ${diagnosis.explanation}.${fields}${word ?? ""}`)];
}

function good(kind: HashFinding["kind"], text: string): HashFinding {
  return { kind, isGood: true, text };
}

function bad(kind: HashFinding["kind"], text: string): HashFinding {
  return { kind, isGood: false, text };
}

function names(hashes: readonly DocumentHash[]): string {
  return list([...new Set(hashes.map(({ form }) => form))]);
}

function list(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function verb(subjects: readonly string[]): string {
  return subjects.length === 1 ? "differs" : "differ";
}

/** The manifest that a file contains or leads to. */
export interface AppDocument {
  /**
   * `app-compose`: the file is the manifest. `changed`: the file is a docker compose file, put into the manifest of an
   * existing CVM. `built`: the file is a docker compose file without a CVM, put into a manifest with the platform's
   * defaults. A built manifest is a guess.
   */
  readonly kind: "app-compose" | "changed" | "built";
  readonly document: AppCompose;
  /** The exact text, if the file is the manifest. Key order and the spelling of numbers matter in some forms. */
  readonly text: string | undefined;
}

export interface ReadAppDocumentParameters {
  /** An app-compose manifest (JSON) or a docker compose file (YAML). */
  readonly text: string;
  /** The current manifest of the CVM that the file is for. */
  readonly current?: AppCompose | undefined;
  readonly preLaunchScript?: string | undefined;
  /** Manifest name, used for a docker compose file without a CVM. */
  readonly name?: string | undefined;
}

/**
 * Reads the manifest. For a docker compose file, builds the manifest that an update with this file would request.
 *
 * @throws InvalidAppComposeError, PayloadTooLargeError
 *
 * @example
 * import { readAppDocument } from "dstack-toolkit";
 * import { dockerCompose, document } from "./app.js";
 * const { kind, document: changed } = readAppDocument({ text: dockerCompose, current: document });
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

/** A docker compose file may also be JSON. It then has `services` and no `docker_compose_file`. */
function isManifest(text: string): boolean {
  if (!/^\s*\{/.test(text)) return false;
  const { contents } = parseDocument(text, { logLevel: "silent" });
  return !(isMap(contents) && contents.has("services") && !contents.has("docker_compose_file"));
}

export interface DocumentHash {
  /** `canonical` is this package's form. The platform's SDK writes the same text, with two rare exceptions. */
  readonly form: string;
  readonly description: string;
  /** Whether fields without effect were removed first. */
  readonly normalised: boolean;
  readonly hash: ComposeHash;
}

/**
 * Returns the hash of a manifest in every official form, most likely first.
 *
 * @example
 * import { listDocumentHashes } from "dstack-toolkit";
 * import { document } from "./app.js";
 * for (const { form, hash } of listDocumentHashes({ kind: "app-compose", document, text: undefined }))
 *   console.log(form, hash);
 */
export function listDocumentHashes({ document, text }: AppDocument): DocumentHash[] {
  const canonical: DocumentHash = {
    form: "canonical",
    description: "four spaces of indentation, keys sorted at every depth: the form that updates with this package use",
    normalised: true,
    hash: computeComposeHash(document),
  };
  const official = hashInEveryForm(text ?? JSON.stringify(document))
    // A manifest that does not come from a file has no raw bytes.
    .filter(({ form }) => text !== undefined || form.name !== "raw-bytes")
    .map(({ form: { name, description }, normalised, hash }) => ({ form: name, description, normalised, hash }));
  return [canonical, ...official];
}
