import { expect } from "chai";
import { buildAppCompose, changeAppCompose } from "../../../../../src/core/app-compose.ts";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "../../../../../src/core/compose-hash.ts";
import { dstackJsForm } from "../../../../../src/core/compose-hash-forms/javascript.ts";
import {
  examineHashes,
  type HashInputs,
  hashesToAsk,
  readAppDocument,
} from "../../../../../src/core/examine-hashes.ts";
import { type ComposeHash, parseComposeHash } from "../../../../../src/core/ids.ts";

const dockerCompose = (tag: string) => `services:\n  web:\n    image: nginx:${tag}\n    command: "run"\n`;
const document = buildAppCompose({ name: "shop", dockerCompose: dockerCompose("1") });
const canonical = computeComposeHash(document);
const compact = hashAppComposeText(dstackJsForm.write(JSON.stringify(document), { normalise: true }) ?? "");
const file = { kind: "app-compose", document, text: writeAppCompose(document) } as const;
const inForce = { cvm: "shop", composeHash: canonical, document };
const other = parseComposeHash("ab".repeat(32));

const allows =
  (...hashes: readonly ComposeHash[]) =>
  (hash: ComposeHash) =>
    hashes.includes(hash);
const kindsOf = (inputs: HashInputs) => examineHashes(inputs).findings.map(({ kind }) => kind);

describe("examineHashes", () => {
  it("computes every form, and reports no finding when there is nothing to compare", () => {
    const { hashes, findings, isMatch } = examineHashes({ document: file });
    expect(hashes[0]).to.deep.include({ form: "canonical", hash: canonical, isInForce: undefined });
    expect(hashes.find(({ form }) => form === "raw-bytes")?.hash).to.equal(canonical);
    expect(hashes.map(({ hash }) => hash)).to.include(compact);
    expect(findings).to.deep.equal([]);
    expect(isMatch).to.equal(true);
  });

  it("reports no problem when CVM, contract and file agree", () => {
    const inputs = { document: file, backend: inForce, isAllowed: allows(canonical) };
    expect(kindsOf(inputs)).to.deep.equal(["inForce", "allowed"]);
    expect(examineHashes(inputs).isMatch).to.equal(true);
  });

  it("says that the app allows another form than the one the CVM is measured as", () => {
    const { findings, isMatch } = examineHashes({ document: file, backend: inForce, isAllowed: allows(compact) });
    expect(findings.map(({ kind }) => kind)).to.deep.equal(["inForce", "wrongFormAllowed"]);
    expect(findings[1]?.text).to.include(compact).and.include("dstack-js").and.include(canonical);
    expect(isMatch).to.equal(false);
  });

  it("finds the form of the hash that the CVM is measured as", () => {
    const backend = { ...inForce, composeHash: compact };
    const { findings, hashes, isMatch } = examineHashes({ document: file, backend, isAllowed: allows(compact) });
    expect(findings.map(({ kind }) => kind)).to.deep.equal(["inForce", "allowed"]);
    expect(hashes.filter(({ isInForce }) => isInForce).map(({ form }) => form)).to.include("dstack-js");
    expect(isMatch).to.equal(true);
  });

  it("names the fields and the line that differ", () => {
    const changed = changeAppCompose(document, { dockerCompose: dockerCompose("2"), publicLogs: false });
    const { findings, differences, isMatch } = examineHashes({
      document: { kind: "app-compose", document: changed, text: writeAppCompose(changed) },
      backend: inForce,
    });
    expect(findings.map(({ kind }) => kind)).to.deep.equal(["otherDocument"]);
    expect(findings[0]?.text).to.include("docker_compose_file and public_logs");
    expect(differences[0]?.firstDifferingLine).to.deep.equal({
      number: 3,
      before: "    image: nginx:1",
      after: "    image: nginx:2",
    });
    expect(isMatch).to.equal(false);
  });

  it("reports a document of the backend that does not have the backend's hash", () => {
    const stale = changeAppCompose(document, { dockerCompose: dockerCompose("0") });
    const backend = { ...inForce, document: stale, composeHash: other };
    expect(kindsOf({ document: file, backend })).to.deep.equal(["otherDocument", "backendContradictsItself"]);
  });

  it("finds that the file is in force when the cloud answers with a stale document", () => {
    const stale = changeAppCompose(document, { dockerCompose: dockerCompose("0") });
    expect(kindsOf({ document: file, backend: { ...inForce, document: stale } })).to.deep.equal(["inForce"]);
  });

  it("explains an equal document with another hash by the form that gives the hash", () => {
    const backend = { ...inForce, composeHash: hashAppComposeText(`${writeAppCompose(document)}\n`) };
    const { findings } = examineHashes({ document: file, backend });
    expect(findings.map(({ kind }) => kind)).to.deep.equal(["otherForm"]);
    expect(findings[0]?.text).to.include("newline");
  });

  it("warns of a CVM whose own hash is not allowed", () => {
    const changed = changeAppCompose(document, { dockerCompose: dockerCompose("2") });
    const planned = { kind: "app-compose", document: changed, text: undefined } as const;
    const next = computeComposeHash(changed);
    expect(kindsOf({ document: planned, backend: inForce, isAllowed: allows(next) })).to.deep.equal([
      "otherDocument",
      "runningHashNotAllowed",
      "allowedAhead",
    ]);
    expect(kindsOf({ document: planned, backend: inForce, isAllowed: allows(canonical) })).to.deep.equal([
      "otherDocument",
      "notAllowed",
    ]);
    expect(kindsOf({ document: file, backend: inForce, isAllowed: allows() })).to.deep.equal(["inForce", "notAllowed"]);
  });

  it("compares with the contract alone when there is no backend", () => {
    expect(kindsOf({ document: file, isAllowed: allows(compact) })).to.deep.equal(["allowed"]);
    expect(kindsOf({ document: file, isAllowed: allows(other) })).to.deep.equal(["notAllowed"]);
  });

  it("explains a given hash by a form, the earlier document, a field, or not at all", () => {
    const changed = changeAppCompose(document, { dockerCompose: dockerCompose("2") });
    const planned = { kind: "app-compose", document: changed, text: undefined } as const;
    const renamed = computeComposeHash({ ...changed, name: "other" });
    const explain = (given: ComposeHash, name = "shop") =>
      examineHashes({
        document: planned,
        backend: { ...inForce, cvm: name },
        given,
        isAllowed: allows(given),
      }).findings.at(-1);
    expect(explain(computeComposeHash(changed))).to.include({ kind: "givenExplained", isGood: true });
    expect(explain(canonical)).to.include({ kind: "givenDiffers", isGood: false });
    expect(explain(canonical)?.text).to.include("current document").and.include("The app allows it.");
    expect(explain(renamed, "other")?.text).to.include("It differs in name.");
    expect(explain(other)?.text).to.include("no known form");
  });

  it("asks the contract about every hash of the result", () => {
    const backend = { ...inForce, composeHash: other };
    const given = parseComposeHash("cd".repeat(32));
    const asked = hashesToAsk({ document: file, backend, given });
    expect(asked).to.include.members([canonical, compact, other, given]);
    expect(new Set(asked).size).to.equal(asked.length);
  });
});

describe("readAppDocument", () => {
  it("tells a manifest from a docker compose file, in YAML or in JSON", () => {
    expect(readAppDocument({ text: JSON.stringify(document) })).to.include({ kind: "app-compose" });
    expect(readAppDocument({ text: dockerCompose("1"), name: "shop" }).document).to.deep.equal(document);
    expect(readAppDocument({ text: '{ "services": { "web": { "image": "nginx" } } }' })).to.include({ kind: "built" });
  });

  it("puts a docker compose file and a script into the manifest of a CVM", () => {
    const read = readAppDocument({ text: dockerCompose("2"), current: document, preLaunchScript: "true\n" });
    expect(read.kind).to.equal("changed");
    expect(read.document).to.deep.equal({
      ...document,
      docker_compose_file: dockerCompose("2"),
      pre_launch_script: "true\n",
    });
  });

  it("refuses a script beside a manifest, and what is neither", () => {
    for (const parameters of [
      { text: JSON.stringify(document), preLaunchScript: "true" },
      { text: "{ not json" },
      { text: "hello" },
      { text: "" },
    ])
      expect(() => readAppDocument(parameters))
        .to.throw()
        .with.property("name", "InvalidAppComposeError");
  });
});
