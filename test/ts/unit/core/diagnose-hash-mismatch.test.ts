import { expect } from "chai";
import { type AppCompose, buildAppCompose, changeAppCompose } from "../../../../src/core/app-compose.ts";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import { composeHashForms } from "../../../../src/core/compose-hash-forms/forms.ts";
import { diagnoseHashMismatch, explainHashMismatch } from "../../../../src/core/hash-mismatch.ts";
import { type ComposeHash, parseComposeHash } from "../../../../src/core/ids.ts";

const current = buildAppCompose({
  dockerCompose: "services:\n  app:\n    image: nginx:1\n",
  preLaunchScript: "#!/bin/sh\necho 'official'\n",
  allowedEnvs: ["TOKEN", "API_URL"],
});
// White space, line ends and a byte order mark that a platform may normalise.
const requested = changeAppCompose(current, {
  dockerCompose: `\nservices:\n  app:  \n    image: nginx:2\n    command: 'echo <{"b": 1}>'\n\n`,
  preLaunchScript: "\ufeff#!/bin/sh\r\necho 'ours'\r\n",
  allowedEnvs: ["TOKEN", "LEVEL"],
  publicLogs: false,
});

describe("hash mismatch", () => {
  const documents: Readonly<Record<string, { sent: AppCompose; fields: string[] }>> = {
    "an ignored compose file": {
      sent: { ...requested, docker_compose_file: current.docker_compose_file },
      fields: ["docker_compose_file"],
    },
    "an ignored pre-launch script": {
      sent: { ...requested, pre_launch_script: current.pre_launch_script },
      fields: ["pre_launch_script"],
    },
    "an ignored flag": { sent: { ...requested, public_logs: true }, fields: ["public_logs"] },
    "two ignored changes": {
      sent: { ...requested, public_logs: true, allowed_envs: current.allowed_envs },
      fields: ["allowed_envs", "public_logs"],
    },
    "three ignored changes": {
      sent: { ...current, pre_launch_script: requested.pre_launch_script },
      fields: ["allowed_envs", "docker_compose_file", "public_logs"],
    },
    "a dropped pre-launch script": { sent: without("pre_launch_script"), fields: ["pre_launch_script"] },
    "dropped features": { sent: without("features"), fields: ["features"] },
    "an injected name": { sent: { ...requested, name: "web-1" }, fields: ["name"] },
    "a dropped name": { sent: without("name"), fields: ["name"] },
    "an injected flag": { sent: { ...requested, public_tcbinfo: false }, fields: ["public_tcbinfo"] },
    "another file system": { sent: { ...requested, storage_fs: "ext4" }, fields: ["storage_fs"] },
    "a dropped script and an injected name": {
      sent: { ...without("pre_launch_script"), name: "web-1" },
      fields: ["name", "pre_launch_script"],
    },
  };

  for (const [what, { sent, fields }] of Object.entries(documents)) {
    it(`is traced to ${what}`, () => {
      const diagnosis = diagnose(computeComposeHash(sent));
      expect(diagnosis).to.deep.include({ kind: "fields" }).and.not.to.have.property("form");
      expect([...diagnosis.fields].sort()).to.deep.equal(fields);
    });
  }

  const compose = requested.docker_compose_file ?? "";
  const script = requested.pre_launch_script ?? "";
  const edited: readonly [string, keyof AppCompose, AppCompose[keyof AppCompose]][] = [
    ["a compose file without its last newline", "docker_compose_file", compose.slice(0, -1)],
    ["a compose file without white space at its end", "docker_compose_file", compose.trimEnd()],
    ["a compose file without white space around it", "docker_compose_file", compose.trim()],
    ["a compose file without spaces at the ends of lines", "docker_compose_file", compose.replace("app:  ", "app:")],
    ["a compose file with CRLF", "docker_compose_file", compose.replaceAll("\n", "\r\n")],
    ["a script with LF", "pre_launch_script", script.replaceAll("\r", "")],
    ["a script with one more newline", "pre_launch_script", `${script}\n`],
    ["a script without its byte order mark", "pre_launch_script", script.slice(1)],
    ["sorted names", "allowed_envs", ["LEVEL", "TOKEN"]],
    ["names added after the old ones", "allowed_envs", ["TOKEN", "API_URL", "LEVEL"]],
    ["old names added", "allowed_envs", ["TOKEN", "LEVEL", "API_URL"]],
    ["old names added and all sorted", "allowed_envs", ["API_URL", "LEVEL", "TOKEN"]],
    ["no names", "allowed_envs", []],
  ];
  for (const [what, field, value] of edited) {
    it(`is traced to ${what}`, () => {
      const fromCloud = computeComposeHash({ ...requested, [field]: value });
      expect(diagnose(fromCloud)).to.deep.include({ kind: "fields", fields: [field] });
    });
  }

  for (const form of composeHashForms) {
    // Every form writes this document differently: one drops the null, one leaves nested keys unsorted.
    const contested = { ...requested, salt: null, verity_volumes: { b: 1, a: 2 } };

    it(`is traced to the form ${form.name}`, () => {
      const fromCloud = hashAppComposeText(form.write(JSON.stringify(contested)) ?? "");
      expect(diagnoseHashMismatch({ current, requested: contested, fromCloud })).to.deep.include({
        kind: "form",
        form: form.name,
        fields: [],
      });
    });

    it(`is traced to an ignored flag in the form ${form.name}`, () => {
      const sent = JSON.stringify({ ...contested, public_logs: true });
      const fromCloud = hashAppComposeText(form.write(sent) ?? "");
      expect(diagnoseHashMismatch({ current, requested: contested, fromCloud })).to.deep.include({
        kind: "fields",
        form: form.name,
        fields: ["public_logs"],
      });
    });
  }

  it("is traced to two edits written by the cloud's SDK", () => {
    const sent = JSON.stringify({ ...without("features"), name: "web-1" });
    const written = composeHashForms[0]?.write(sent) ?? "";
    expect(written).not.to.equal(writeAppCompose(JSON.parse(sent)));
    expect(diagnose(hashAppComposeText(written))).to.deep.include({ kind: "fields", form: "cloud-sdk" });
  });

  it("is traced to a newline at the end of the text and to an unsorted one", () => {
    const texts = [
      `${writeAppCompose(requested)}\n`,
      JSON.stringify(requested, null, 2),
      JSON.stringify(requested, null, 4),
    ];
    for (const text of texts) {
      expect(diagnose(hashAppComposeText(text))).to.deep.include({ kind: "form", form: "raw-bytes" });
    }
  });

  it("is traced to the current document in each form", () => {
    const text = `${JSON.stringify(current)} `;
    const hashes = [computeComposeHash(current), hashAppComposeText(text), hashAppComposeText(JSON.stringify(current))];
    for (const fromCloud of hashes) {
      expect(diagnoseHashMismatch({ current, currentText: text, requested, fromCloud }).kind).to.equal("unchanged");
    }
  });

  it("is traced to fields that the platform adds", () => {
    const { features: _, ...bare } = { ...requested, name: "manifest-name" };
    const injections: readonly AppCompose[] = [
      { ...bare, name: "" },
      { ...bare, features: ["kms", "tproxy-net"] },
      { ...bare, no_instance_id: true },
      { ...bare, manifest_version: 3 },
    ];
    for (const sent of injections) {
      const [field] = Object.keys(sent).filter((key) => sent[key] !== bare[key as keyof typeof bare]);
      expect(diagnoseHashMismatch({ requested: bare, fromCloud: computeComposeHash(sent) }).fields).to.deep.equal([
        field,
      ]);
    }
  });

  it("of a new CVM is explained without a current document", () => {
    const fromCloud = computeComposeHash({ ...requested, name: "web-1" });
    expect(diagnoseHashMismatch({ requested, fromCloud, cvmName: "web-1" }).fields).to.deep.equal(["name"]);
  });

  it("stays unexplained when no known change gives the hash", () => {
    const foreign = changeAppCompose(requested, { dockerCompose: "services:\n  app:\n    image: evil:1\n" });
    const fromCloud = computeComposeHash(foreign);
    expect(diagnose(fromCloud)).to.deep.include({ kind: "unknown", fields: [] });
    expect(explainHashMismatch({ current, requested, fromCloud })).to.include("public_logs");
    expect(diagnose(parseComposeHash("00".repeat(32))).kind).to.equal("unknown");
  });
});

function diagnose(fromCloud: ComposeHash) {
  return diagnoseHashMismatch({ current, requested, fromCloud, cvmName: "web-1" });
}

function without(field: keyof AppCompose): AppCompose {
  return { ...requested, [field]: undefined };
}
