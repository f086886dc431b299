import { createHash } from "node:crypto";
import { expect } from "chai";
import { keccak256 } from "viem";
import { type GenerationId, generations } from "../../../../src/core/generation.ts";
import { type Hex, parseAppId } from "../../../../src/core/ids.ts";
import { lintApp, lintRules, requireClean } from "../../../../src/core/lint/lint.ts";
import type { LintedApp, LintedPolicy, LintSubject } from "../../../../src/core/lint/rule.ts";
import { upgradeCall } from "../../../../src/core/owner-calls.ts";
import { LintRefusedError } from "../../../../src/errors/index.ts";

const address = (byte: string): Hex => `0x${byte.repeat(20)}`;
const word = (text: string): Hex => `0x${createHash("sha256").update(text).digest("hex")}`;
const hash = word("a document");
const device = word("a machine");
const kms = { address: address("c5"), appImplementation: address("e1") };
const owner = { address: address("0e"), kind: "safe" } as const;

const appId = parseAppId(address("a9"));
const goodPolicy: LintedPolicy = {
  owner,
  pendingOwner: undefined,
  isTwoStep: true,
  allowAnyDevice: false,
  upgradesDisabled: false,
  shiftedAppId: undefined,
  implementation: kms.appImplementation,
  composeHashes: [hash],
  devices: [device],
};
const app = (policy: Partial<LintedPolicy> = {}, changes: Partial<LintedApp> = {}): LintSubject => ({
  app: { appId: address("a9"), hasCode: true, isKms: false, policy: { ...goodPolicy, ...policy }, ...changes },
  kms,
});
const calls = (functionName: string, ...args: readonly unknown[]) => ({ functionName, args });
const adding = (value: Hex, functionName = "addComposeHash"): LintSubject => ({ calls: [calls(functionName, value)] });
const compose = (image: string, allowed_envs: string[] = []): LintSubject => ({
  document: { docker_compose_file: `services:\n  web:\n    image: "${image}"\n`, allowed_envs },
});
const services = (text: string, allowed_envs: string[] = []): LintSubject => ({
  document: { docker_compose_file: text, allowed_envs },
});
const digest = "@sha256:".padEnd(72, "d1");
const pinned = `services:\n  web:\n    image: nginx${digest}\n`;

/** An app at a KMS, by their generations. */
const pair = (ofApp: GenerationId, ofKms: GenerationId, policy: Partial<LintedPolicy> = {}): LintSubject => ({
  ...app({ generation: generations[ofApp], ...policy }),
  kms: { ...kms, generation: generations[ofKms] },
});
const guest = (osVersion: string | undefined, ofKms: GenerationId = "first"): LintSubject => ({
  kms: { ...kms, generation: generations[ofKms] },
  cvms: [{ name: "web (cvm_1)", osVersion }],
});

const everyRule = (subject: LintSubject) => lintApp(subject).map(({ rule, severity }) => `${severity} ${rule}`);

// Examples that each rule must find, and similar ones that are correct.
const cases: Readonly<
  Record<string, { readonly bad: readonly [string, LintSubject][]; readonly good: readonly LintSubject[] }>
> = {
  "no-code": { bad: [["error", app({}, { hasCode: false, policy: undefined })]], good: [app()] },
  "app-is-kms": {
    bad: [
      ["error", app({}, { isKms: true, policy: undefined })],
      ["error", app({}, { appId: address("C5") })],
    ],
    good: [app()],
  },
  "guest-too-old-to-rotate": {
    bad: [
      ["note", guest("0.5.13")],
      ["note", guest("v0.5.7-dev")],
      ["note", guest("0.4.99")],
      ["warning", guest("0.5.13", "0.6.4")],
      ["note", guest("0.5.14", "0.6.5")],
      ["note", guest("0.6.4", "0.6.5")],
    ],
    good: [guest("0.5.15"), guest("0.6.5"), guest("1.0.0"), guest(undefined), guest("0.5.13.1"), guest("latest")],
  },
  "cannot-follow-rotation": {
    bad: [
      ["note", app({ upgradesDisabled: true })],
      ["warning", pair("first", "0.6.5", { upgradesDisabled: true })],
      ["warning", { ...app(), calls: [calls("disableUpgrades")] }],
    ],
    good: [app(), pair("first", "0.6.5"), adding(hash)],
  },
  "generations-differ": {
    bad: [
      ["warning", pair("first", "0.6.4")],
      ["warning", pair("first", "0.6.5")],
      ["warning", pair("0.6.4", "0.6.5")],
      ["warning", pair("0.6.5", "0.6.4")],
      ["warning", pair("0.6.4", "first")],
    ],
    good: [pair("first", "first"), pair("0.6.5", "0.6.5"), pair("unknown", "0.6.5"), pair("0.6.4", "unknown"), app()],
  },
  "owner-cannot-sign": {
    bad: [
      ["warning", app({ owner: { address: address("00"), kind: "renounced" } })],
      ["error", { ...app({ owner: { address: address("00"), kind: "renounced" } }), ...adding(hash) }],
      ["error", app({ owner: { address: address("a9"), kind: "contract" } })],
      ["error", app({ owner: { address: address("C5"), kind: "contract" } })],
      ["error", app({ owner: { address: `0x${"00".repeat(18)}dEaD`, kind: "eoa", isUsed: true } })],
      ["error", app({ owner: { address: `0x${"00".repeat(19)}01`, kind: "eoa", isUsed: true } })],
      ["error", app({ owner: { address: address("ff"), kind: "eoa", isUsed: true } })],
      ["warning", app({ owner: { address: address("0e"), kind: "contract" } })],
      ["warning", app({ owner: { address: address("0e"), kind: "eoa", isUsed: false } })],
      ["warning", app({ pendingOwner: { address: address("0f"), kind: "eoa", isUsed: false } })],
      ["warning", { ...app({ pendingOwner: { address: address("a9"), kind: "contract" } }), ...adding(hash) }],
      ["error", app({ owner: { address: `0x${"00".repeat(18)}ffff`, kind: "eoa", isUsed: true } })],
    ],
    good: [
      app({ owner: { address: `0x${"00".repeat(17)}010000`, kind: "eoa", isUsed: true } }),
      app({ owner: { address: address("0e"), kind: "timelock" } }),
      app({ owner: { address: address("0e"), kind: "eoa", isUsed: true } }),
    ],
  },
  "upgrade-loses-policy": {
    bad: [
      ["note", app({ shiftedAppId: address("ad") })],
      ["note", { ...app({ shiftedAppId: address("ad") }), ...adding(hash) }],
      [
        "error",
        { ...app({ shiftedAppId: address("ad") }), calls: [upgradeCall({ appId, implementation: kms.address })] },
      ],
    ],
    good: [app(), { ...app(), calls: [upgradeCall({ appId, implementation: kms.address })] }],
  },
  "remove-device-without-effect": {
    bad: [
      ["error", { ...app({ allowAnyDevice: true, devices: [] }), calls: [calls("removeDevice", device)] }],
      ["error", { ...app(), calls: [calls("setAllowAnyDevice", true), calls("removeDevice", device)] }],
    ],
    good: [
      { ...app(), calls: [calls("removeDevice", device)] },
      { ...app({ allowAnyDevice: true }), calls: [calls("removeDevice", device), calls("setAllowAnyDevice", false)] },
      { ...app({ allowAnyDevice: true }), calls: [calls("removeComposeHash", hash)] },
      { calls: [calls("removeDevice", device)] },
      {
        ...app({ allowAnyDevice: true }),
        calls: [calls("setAllowAnyDevice", true), calls("setAllowAnyDevice", false), calls("removeDevice", device)],
      },
    ],
  },
  "hash-of-nothing": {
    bad: [
      ["error", adding(word(""))],
      ["error", adding(word(""), "addDevice")],
      ["error", adding(`0x${word("").slice(2).toUpperCase()}`)],
      ["error", adding(keccak256("0x"))],
      ["error", adding(`0x${createHash("sha3-256").digest("hex")}`)],
      ["error", adding(`0x${createHash("sha384").digest("hex").slice(0, 64)}`)],
      ["warning", app({ devices: [word("")] })],
    ],
    good: [adding(hash), { calls: [calls("removeDevice", word(""))] }, adding(word(" "))],
  },
  "zero-value": {
    bad: [
      ["error", adding(`0x${"00".repeat(32)}`)],
      ["error", adding(`0x${"00".repeat(32)}`, "addKmsDevice")],
      ["error", adding(`0x${"00".repeat(32)}`, "addKmsAggregatedMr")],
      ["error", adding(`0x${"00".repeat(32)}`, "addOsImageHash")],
      ["warning", app({ composeHashes: [`0x${"00".repeat(32)}`] })],
    ],
    good: [adding(hash), { calls: [calls("removeComposeHash", `0x${"00".repeat(32)}`)] }],
  },
  "short-value": {
    bad: [
      ["error", adding(`0x${"ab".repeat(20).padStart(64, "0")}`)],
      ["error", adding(`0x${"ab".repeat(24).padEnd(64, "0")}`)],
      ["warning", app({ devices: [`0x${"1".padStart(64, "0")}`] })],
    ],
    good: [
      adding(hash),
      adding(`0x${"00".repeat(7)}${"ab".repeat(25)}`),
      adding(`0x${"ab".repeat(25)}${"00".repeat(7)}`),
      adding(`0x${"0".repeat(15)}${"b".repeat(49)}`),
      adding(`0x${"b".repeat(49)}${"0".repeat(15)}`),
    ],
  },
  "sha384-value": {
    bad: [
      ["error", { inputs: [{ what: "The compose hash", text: ` 0x${"a1".repeat(48)}\n` }] }],
      ["error", { inputs: [{ what: "The device id", text: "A1".repeat(48) }] }],
    ],
    good: [
      { inputs: [{ what: "The compose hash", text: hash }] },
      { inputs: [{ what: "A name", text: "z1".repeat(48) }] },
    ],
  },
  "unreadable-compose": {
    bad: [
      ["warning", services("services:\n  web: { image: a }\n---\nservices:\n  other: { image: b }\n")],
      ["warning", services("services: {}\n")],
      ["warning", services("\t: no")],
    ],
    good: [
      services(`services:\n  web: { image: "nginx${digest}" }\n`),
      { document: { runner: "bash", docker_compose_file: "", bash_script: "echo" } },
      { document: { docker_compose_file: null } },
    ],
  },
  "image-from-variable": {
    bad: [
      ["error", compose(`\${IMAGE}`, ["IMAGE"])],
      ["error", compose("$IMAGE", ["IMAGE"])],
      ["error", compose("$image_of_web", ["image_of_web"])],
      ["error", compose(`reg/app:\${TAG:-1.0}`, ["OTHER", "TAG"])],
      ["warning", compose(`reg/app:\${TAG}`, ["OTHER"])],
      ["error", compose(`\${OTHER:-\${TAG}}`, ["TAG"])],
      ["error", services(`services:\n  web: { build: "https://git.example/app.git#\${REF}" }\n`, ["REF"])],
      ["error", services("services:\n  web: { build: { context: ., args: [REF] } }\n", ["REF"])],
      ["error", services("services:\n  web: { build: { dockerfile_inline: FROM $BASE } }\n", ["BASE"])],
      ["error", services("services:\n  web: { build: { additional_contexts: { a: $BASE } } }\n", ["BASE"])],
      ["error", services("include: [{ path: [a.yaml, $FILE] }]\nservices:\n  web: {}\n", ["FILE"])],
      ["error", services("services:\n  web: { extends: { file: $FILE, service: web } }\n", ["FILE"])],
      ["error", services("services:\n  web: { provider: { type: $TYPE } }\n", ["TYPE"])],
      ["error", services("services:\n  web: { volumes: [{ type: image, source: $DATA, target: /a }] }\n", ["DATA"])],
    ],
    good: [
      compose(`reg/app${digest}`, ["IMAGE"]),
      compose("$${IMAGE}", ["IMAGE"]),
      compose(`\${REGISTRY}/app:\${TAG}${digest}`, ["REGISTRY", "TAG"]),
      services(`services:\n  web: { image: "a${digest}", environment: [TAG], labels: [$TAG] }\n`, ["TAG"]),
      { document: { docker_compose_file: "\t: no" } },
    ],
  },
  "mutable-image": {
    bad: [
      ["warning", compose("nginx")],
      ["warning", compose("nginx:1.28")],
      ["warning", compose("localhost:5000/nginx")],
      ["warning", compose("localhost:5000/nginx@sha256:12")],
      ["warning", services("x-base: &base\n  image: nginx:1.28\nservices:\n  web:\n    <<: *base\n")],
      ["warning", services("x-image: &image nginx:1.28\nservices:\n  web: { image: *image }\n")],
      ["warning", services("services:\n  web: { image: nginx:1.28, profiles: [debug] }\n")],
      ["warning", services(`${pinned}    volumes: [{ type: image, source: alpine, target: /a }]\n`)],
      ["warning", services(`${pinned}    pre_start: [{ image: alpine, command: "true" }]\n`)],
      ["warning", services(`${pinned}jobs:\n  nightly: { image: alpine }\n`)],
      ["warning", services(`${pinned}    models: [llm]\nmodels:\n  llm: { model: ai/small }\n`)],
      ["warning", services(`x-base: &base { image: alpine }\n${pinned}  other: { <<: [*base] }\n`)],
    ],
    good: [
      compose(`nginx:1.28${digest}`),
      compose(`localhost:5000/nginx${digest}`),
      services("services:\n  web:\n    build: { context: ., args: { image: nginx:1.28 } }\n"),
      { document: { bash_script: "true" } },
      services(`x-unused: { image: alpine }\n${pinned}    labels: { image: alpine }\n`),
      services(`${pinned}    models: [llm]\nmodels:\n  llm: { model: "ai/small${digest}" }\n`),
      services(`${pinned}    volumes: [{ type: image, source: "alpine${digest}", target: /a }]\n`),
    ],
  },
  "built-on-cvm": {
    bad: [
      ["warning", services("services:\n  web: { build: . }\n")],
      ["warning", services("services:\n  web: { build: {} }\n")],
      ["warning", services("services:\n  web: { build: 'https://git.example/app.git#main' }\n")],
      ["warning", services(`${pinned}    build: { dockerfile_inline: "FROM alpine" }\n`)],
      ["warning", services(`${pinned}    build: { context: ., additional_contexts: { a: docker-image://alpine } }\n`)],
      ["warning", services("services:\n  web: { build: ., profiles: [debug] }\n")],
      ["warning", services(`${pinned}jobs:\n  nightly: { build: . }\n`)],
    ],
    // `docker compose up` does not watch files.
    good: [services(`${pinned}    develop: { watch: [{ action: sync, path: ., target: /a }] }\n`)],
  },
  "other-file": {
    bad: [
      ["warning", services(`include: [other.yaml]\n${pinned}`)],
      ["warning", services(`include: ["oci://registry.example/app:1"]\n${pinned}`)],
      ["warning", services(`include:\n  - path: [a.yaml, b.yaml]\n${pinned}`)],
      ["warning", services("services:\n  web: { extends: { file: base.yaml, service: web } }\n")],
      ["warning", services("services:\n  web: { extends: { file: 'https://git.example/a.git', service: web } }\n")],
    ],
    good: [
      services(`${pinned}  other: { extends: web }\n`),
      services(`${pinned}  other: { extends: { service: web } }\n`),
      services(`include: []\n${pinned}`),
    ],
  },
  "provider-program": {
    bad: [["warning", services("services:\n  data: { provider: { type: cloud } }\n")]],
    good: [services(`${pinned}    labels: { provider: cloud }\n`)],
  },
  "mounted-program": {
    bad: [
      ["warning", services(`${pinned}    entrypoint: /run.sh --fast\n    volumes: [./run.sh:/run.sh:ro]\n`)],
      ["warning", services(`${pinned}    command: [/bin/sh, /app/run.sh]\n    volumes: [code:/app]\n`)],
      ["warning", services(`${pinned}    entrypoint: python3 -u /app/main.py\n    volumes: [./app:/app/]\n`)],
      [
        "warning",
        services(`${pinned}    command: [/app/run]\n    volumes: [{ type: bind, source: ./app, target: /app }]\n`),
      ],
      [
        "warning",
        services(`${pinned}    command: sh /run.sh\n    configs: [run.sh]\nconfigs:\n  run.sh: { environment: RUN }\n`),
      ],
      [
        "warning",
        services(`${pinned}    command: /run/secrets/run\n    secrets: [run]\nsecrets:\n  run: { file: ./run }\n`),
      ],
    ],
    good: [
      services(`${pinned}    command: nginx -c /conf/nginx.conf\n    volumes: [./conf:/conf]\n`),
      services(`${pinned}    command: /application\n    volumes: [./app:/app]\n`),
      services(`${pinned}    command: /app/run\n    volumes: [/app]\n    tmpfs: [/app]\n`),
      services(`${pinned}    command: sh /run.sh\n    configs: [run.sh]\nconfigs:\n  run.sh: { content: "true" }\n`),
    ],
  },
  "command-from-variable": {
    bad: [
      ["warning", services(`${pinned}    command: $RUN\n`, ["RUN"])],
      ["warning", services(`${pinned}    entrypoint: ["\${RUN:-a}"]\n`, ["RUN"])],
      ["warning", services(`${pinned}    command: [sh, -ec, "serve --port $PORT"]\n`, ["PORT"])],
      ["warning", services(`${pinned}    entrypoint: [/bin/sh, -c]\n    command: [serve $PORT]\n`, ["PORT"])],
    ],
    good: [
      services(`${pinned}    command: serve --port $PORT\n`, ["PORT"]),
      services(`${pinned}    command: [sh, -c, "serve --port $$PORT"]\n`, ["PORT"]),
      services(`${pinned}    command: $RUN\n`, ["OTHER"]),
    ],
  },
  "unset-variable": {
    bad: [
      ["warning", services(`${pinned}    command: serve $PORT\n`)],
      ["warning", services(`${pinned}    environment: [TOKEN, MODE=1]\n`, ["MODE"])],
      ["warning", services(`${pinned}    environment: { TOKEN: }\n`)],
      ["warning", services(`${pinned}    environment: ["A=\${B:-\${C:-}}\${TOKEN:?missing}"]\n`)],
    ],
    good: [
      services(`${pinned}    command: serve $PORT\n    environment: [TOKEN]\n`, ["PORT", "TOKEN"]),
      services(`${pinned}    environment: ["A=\${B:-\${C:-\${D}}}\${E+x}\${F-}", PRICE=$$1]\n`),
      services(`${pinned}    environment: [DSTACK_APP_ID, HOSTNAME]\n    labels: { a: "$COMPOSE_PROJECT_NAME" }\n`),
    ],
  },
  "engine-socket": {
    bad: [
      ["note", services(`${pinned}    volumes: [/var/run/docker.sock:/var/run/docker.sock:ro]\n`)],
      ["note", services(`${pinned}    volumes: [{ type: bind, source: /run/docker.sock, target: /d }]\n`)],
      ["note", services(`${pinned}    use_api_socket: true\n`)],
    ],
    good: [services(`${pinned}    volumes: [/var/run/dstack.sock:/var/run/dstack.sock]\n`)],
  },
  "implementation-drift": {
    bad: [
      ["warning", app({ implementation: address("e0") })],
      ["note", app({ implementation: address("e0"), upgradesDisabled: true })],
      ["note", app({ implementation: address("e0"), shiftedAppId: address("ad") })],
    ],
    good: [
      app(),
      app({ implementation: address("E1") }),
      app({ implementation: undefined }),
      { ...app({ implementation: address("e0") }), kms: { ...kms, appImplementation: address("00") } },
    ],
  },
  "nothing-boots": {
    bad: [
      ["warning", app({ composeHashes: [] })],
      ["warning", app({ devices: [] })],
    ],
    good: [app(), app({ devices: [], allowAnyDevice: true }), app({ composeHashes: undefined, devices: undefined })],
  },
  "cvm-would-not-boot": {
    bad: [
      ["warning", { ...app(), cvms: [{ name: "web", composeHash: word("another document"), deviceId: device }] }],
      ["warning", { ...app(), cvms: [{ name: "web", composeHash: hash, deviceId: word("another machine") }] }],
      ["warning", { ...app(), cvms: [{ name: "web", status: "stopped", composeHash: word("another document") }] }],
    ],
    good: [
      { ...app(), cvms: [{ name: "web", composeHash: hash, deviceId: device }, { name: "new" }] },
      { ...app({ allowAnyDevice: true, devices: [] }), cvms: [{ name: "web", deviceId: word("another machine") }] },
      { ...app({ composeHashes: undefined, devices: undefined }), cvms: [{ name: "web", composeHash: hash }] },
      { ...app(), cvms: [{ name: "web", composeHash: `0x${hash.slice(2).toUpperCase()}` }] },
    ],
  },
  "any-device": {
    bad: [
      ["warning", { ...app(), calls: [calls("setAllowAnyDevice", true)] }],
      ["warning", { calls: [calls("setAllowAnyDevice", true)] }],
      ["note", app({ allowAnyDevice: true, devices: [] })],
      ["note", { ...app({ allowAnyDevice: true }), calls: [calls("addComposeHash", hash)] }],
    ],
    good: [
      app(),
      { ...app({ allowAnyDevice: true }), calls: [calls("setAllowAnyDevice", false)] },
      { ...app(), calls: [calls("addDevice", device)] },
    ],
  },
  "devices-without-effect": {
    bad: [["note", app({ allowAnyDevice: true })]],
    good: [app(), app({ allowAnyDevice: true, devices: [] })],
  },
  "eoa-owner": { bad: [["note", app({ owner: { ...owner, kind: "eoa" } })]], good: [app()] },
  "one-step-owner": {
    bad: [
      ["note", app({ isTwoStep: false })],
      ["warning", { ...app({ isTwoStep: false }), calls: [calls("transferOwnership", owner.address)] }],
    ],
    good: [app(), { ...app(), calls: [calls("transferOwnership", owner.address)] }],
  },
  "pending-owner": { bad: [["note", app({ pendingOwner: owner })]], good: [app()] },
};

describe("the linter", () => {
  it("advises against an upgrade that would lose the policy, also when another rule advises it", () => {
    const old = { isTwoStep: false, implementation: address("e0") };
    const advice = (policy: Partial<LintedPolicy>) =>
      lintApp(app({ ...old, ...policy }))
        .filter(({ rule }) => ["one-step-owner", "implementation-drift", "upgrade-loses-policy"].includes(rule))
        .map((finding) => finding.advice);
    expect(advice({}))
      .to.have.length(2)
      .and.satisfy((all: string[]) => all.every((one) => /\bupgrade\b/i.test(one) && !one.startsWith("Do not")));
    expect(advice({ shiftedAppId: address("ad") }))
      .to.have.length(3)
      .and.satisfy((all: string[]) => all.every((one) => one.startsWith("Do not upgrade: ")));
    expect(advice({ upgradesDisabled: true }))
      .to.have.length(2)
      .and.satisfy((all: string[]) => all.every((one) => one.startsWith("Upgrades are disabled")));
  });

  it("has examples of every rule, whose names tell them apart", () => {
    expect(lintRules.map(({ name }) => name)).to.have.members(Object.keys(cases));
    expect(new Set(lintRules.map(({ name }) => name)).size).to.equal(lintRules.length);
  });

  for (const [rule, { bad, good }] of Object.entries(cases)) {
    it(`finds ${rule}, and nothing that only resembles it`, () => {
      for (const [severity, subject] of bad)
        expect(everyRule(subject), JSON.stringify(subject)).to.include(`${severity} ${rule}`);
      for (const subject of good)
        expect(
          lintApp(subject).map((finding) => finding.rule),
          JSON.stringify(subject),
        ).to.not.include(rule);
    });
  }

  it("finds nothing in a good app, or in an empty one", () => {
    expect(lintApp(app())).to.deep.equal([]);
    expect(lintApp({})).to.deep.equal([]);
  });

  it("says that a CVM runs a hash or on a device only if it runs", () => {
    const lose = (status: string) =>
      lintApp({ ...app(), cvms: [{ name: "web", status, composeHash: word("other"), deviceId: word("machine") }] })
        .filter(({ rule }) => rule === "cvm-would-not-boot")
        .map(({ message, advice }) => `${message} ${advice}`);
    for (const text of lose("running")) expect(text).to.match(/^web runs .* It runs until it is restarted\./);
    for (const status of ["stopped", "starting", "error", "paused"])
      for (const text of lose(status)) {
        expect(text).to.match(new RegExp(`^web, which is ${status}, (?:has|is) .* Its next boot will be refused\\.`));
        expect(text).to.not.match(/\bruns\b/);
      }
  });

  it("names the image to pin, without tag or digest and with its registry's port", () => {
    for (const [image, name] of [
      ["nginx", "nginx"],
      ["localhost:5000/nginx", "localhost:5000/nginx"],
      ["localhost:5000/nginx:1.28", "localhost:5000/nginx"],
      ["localhost:5000/nginx:1.28@sha256:12", "localhost:5000/nginx"],
    ] as const)
      expect(lintApp(compose(image)).map(({ advice }) => advice)).to.deep.equal([`Pin it: ${name}@sha256:…`]);
  });

  it("names the service, the job or the model, and the reference", () => {
    const text = `include: [a.yaml]
services:
  web: { build: ./app }
  base: { extends: { file: b.yaml, service: base } }
  data: { provider: { type: cloud } }
jobs:
  nightly: { image: alpine, pre_start: [{ image: setup }] }
models:
  llm: { model: ai/small }
`;
    expect(lintApp(services(text)).map(({ message }) => message)).to.deep.equal([
      "Job nightly runs alpine, which has no digest.",
      "A step before the start of job nightly runs setup, which has no digest.",
      "Model llm is ai/small, which has no digest.",
      "Service web is built on the CVM from ./app, so the compose hash does not determine its code.",
      "Service base extends a service of b.yaml, which the compose hash does not cover and which was not checked.",
      "The compose file includes a.yaml, which the compose hash does not cover and which was not checked.",
      "Service data comes from the provider cloud, a program that the compose hash does not determine.",
    ]);
  });

  it("reports a variable once, wherever it stands in the image", () => {
    expect(everyRule(compose(`\${A}/app:\${A}`, ["A"]))).to.deep.equal(["error image-from-variable"]);
  });

  it("lists errors first, each once", () => {
    const subject = { ...app({ isTwoStep: false, composeHashes: [] }), ...adding(word("")) };
    expect(everyRule(subject)).to.deep.equal(["error hash-of-nothing", "warning nothing-boots", "note one-step-owner"]);
  });

  it("refuses errors, except those accepted by name", () => {
    const findings = lintApp({
      ...app(),
      calls: [calls("addDevice", word("")), calls("addComposeHash", `0x${"00".repeat(32)}`)],
    });
    expect(() => requireClean(findings, new Set()))
      .to.throw(LintRefusedError)
      .with.nested.property("context.findings.length", 2);
    expect(() => requireClean(findings, new Set(["zero-value"]))).to.throw(LintRefusedError, "hash-of-nothing");
    expect(() => requireClean(findings, new Set(["zero-value", "hash-of-nothing"]))).to.not.throw();
    expect(() => requireClean(lintApp(app({ devices: [] })), new Set())).to.not.throw();
  });

  it("names `accepted` only for rules that it can override", () => {
    const nextStepOf = (subject: LintSubject) => {
      try {
        requireClean(lintApp(subject));
      } catch (error) {
        if (error instanceof LintRefusedError) return error.nextStep;
        throw error;
      }
      return undefined;
    };
    const zero = adding(`0x${"00".repeat(32)}`);
    expect(nextStepOf(zero)).to.include("`accepted: zero-value`");
    for (const { bad } of ["no-code", "app-is-kms", "sha384-value"].flatMap((name) => cases[name] ?? []))
      for (const [, subject] of bad) expect(nextStepOf({ ...zero, ...subject })).to.not.include("`accepted: ");
  });
});
