import { expect } from "chai";
import fc from "fast-check";
import {
  buildAppCompose,
  changeAppCompose,
  checkAppCompose,
  normaliseAppCompose,
  parseAppCompose,
} from "../../../../src/core/app-compose.ts";
import { computeComposeHash, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import type { JsonObject } from "../../../../src/core/json.ts";
import { InvalidAppComposeError, InvalidEnvironmentError, PayloadTooLargeError } from "../../../../src/errors/index.ts";
import { arbitraryAppCompose, arbitraryText } from "../../../support/arbitrary-app-compose.ts";

const dockerCompose = "services:\n  app:\n    image: nginx:1\n";

describe("parseAppCompose", () => {
  it("accepts different notations of the same number", () => {
    expect(parseAppCompose('{"a":1.0,"b":-0,"c":1e2,"d":9007199254740991,"e":12345678901234567000}')).to.deep.equal({
      a: 1,
      b: -0,
      c: 100,
      d: 9007199254740991,
      e: 12345678901234567000,
    });
  });

  it("keeps known and unknown keys, nulls and nested objects", () => {
    const document = { runner: "docker-compose", name: null, salt: "x", port_policy: { b: [1, { c: null }] } };
    expect(parseAppCompose(JSON.stringify(document))).to.deep.equal(document);
  });

  const positions: readonly [string, string, number, number][] = [
    ["a missing comma", '{\n  "name": "a"\n  "runner": "b"\n}', 3, 3],
    ["a trailing comma", '{\n  "name": "a",\n}', 3, 1],
    ["a comment", '{ "name": "a" } // x', 1, 17],
    ["a raw line break in a string", '{"name": "a\nb"}', 1, 10],
    ["a repeated key", '{\n  "name": "a",\n  "x": {},\n  "name": "b"\n}', 4, 3],
    ["a repeated key in depth", '{"x": [{"a": 1, "a": 1}]}', 1, 17],
    ["an integer that would be rounded", '{"x": 9007199254740993}', 1, 7],
    ["a negative one", '{"x": [1, -9007199254740993]}', 1, 11],
    ["a number that would become infinite", '{"x": [1e400]}', 1, 8],
    ["the key __proto__", '{"__proto__": {}}', 1, 15],
    ["a list", "[]", 1, 1],
    ["nothing", "", 1, 1],
    ["text after the document", "{} {}", 1, 4],
  ];
  for (const [what, text, line, column] of positions) {
    it(`refuses ${what} and says where`, () => {
      expect(contextOf(() => parseAppCompose(text))).to.include({ line, column });
    });
  }

  it("accepts many values on one level", () => {
    const document = { x: Array.from({ length: 300 }, () => [{}]) };
    expect(parseAppCompose(JSON.stringify(document))).to.deep.equal(document);
  });

  it("refuses a document of too many levels", () => {
    const text = `{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect(() => parseAppCompose(text)).to.throw(InvalidAppComposeError);
  });
});

describe("checkAppCompose", () => {
  const wrong: readonly JsonObject[] = [
    { name: 1 },
    { docker_compose_file: {} },
    { allowed_envs: "A" },
    { allowed_envs: ["A", 1] },
    { features: [null] },
    { public_logs: "true" },
    { manifest_version: true },
  ];
  for (const document of wrong) {
    it(`refuses ${JSON.stringify(document)} and names the field`, () => {
      expect(contextOf(() => checkAppCompose(document))).to.include({ field: Object.keys(document)[0] });
    });
  }

  it("counts the bytes of compose file and script together", () => {
    const fits = { docker_compose_file: "é".repeat(100_000), pre_launch_script: "x".repeat(4800) };
    expect(checkAppCompose(fits)).to.equal(fits);
    expect(() => checkAppCompose({ ...fits, pre_launch_script: "x".repeat(4801) }))
      .to.throw(PayloadTooLargeError)
      .with.property("context")
      .that.deep.equals({ actualBytes: 204_801, limitBytes: 204_800 });
  });
});

describe("buildAppCompose", () => {
  it("writes what the platform writes and keeps the compose file byte for byte", () => {
    const text = `\ufeff# note\r\n${dockerCompose}\n\n`;
    expect(buildAppCompose({ dockerCompose: text, allowedEnvs: ["B", "A"] })).to.deep.equal({
      manifest_version: 2,
      name: "",
      runner: "docker-compose",
      docker_compose_file: text,
      allowed_envs: ["B", "A"],
      features: ["kms", "tproxy-net"],
      public_logs: true,
      public_sysinfo: true,
      public_tcbinfo: true,
      kms_enabled: true,
      gateway_enabled: true,
      tproxy_enabled: true,
      local_key_provider_enabled: false,
      no_instance_id: false,
      secure_time: false,
      storage_fs: "zfs",
    });
  });

  it("states in every field that KMS and gateway are disabled", () => {
    expect(buildAppCompose({ dockerCompose, kmsEnabled: false, gatewayEnabled: false })).to.deep.include({
      features: [],
      kms_enabled: false,
      gateway_enabled: false,
      tproxy_enabled: false,
    });
  });

  const bomb = `a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 9 }, (_, index) => `a${index + 1}: &a${index + 1} [${Array(10).fill(`*a${index}`).join(", ")}]\n`).join("")}`;
  const wrong: readonly [string, string][] = [
    ["no YAML", "services:\n  app: [\n"],
    ["a tab as indentation", "services:\n\tapp: {}\n"],
    ["a repeated key", "services:\n  app: {}\n  app: {}\n"],
    ["an empty text", ""],
    ["a list", "- services\n"],
    ["no services", "volumes: {}\n"],
    ["empty services", "services: {}\n"],
    ["null services", "services:\n"],
    ["a list of services", "services:\n  - app\n"],
    ["an unknown alias", "services:\n  app: *nothing\n"],
    ["an alias bomb", `${bomb}${dockerCompose}`],
    ["a control character", "services:\n  app: {} # \0\n"],
    ["deep nesting", `services: ${"[".repeat(50_000)}`],
  ];
  for (const [what, text] of wrong) {
    it(`refuses ${what}`, () => {
      expect(() => buildAppCompose({ dockerCompose: text })).to.throw(InvalidAppComposeError);
    });
  }

  it("says where the YAML is wrong", () => {
    const context = contextOf(() => buildAppCompose({ dockerCompose: "services:\n  app: {}\n  app: {}\n" }));
    expect(context).to.include({ line: 3, column: 3 });
  });

  it("finds services behind a merge key, and none when the key merges nothing", () => {
    const merged = "x-all: &all\n  services:\n    app: {}\n<<: *all\n";
    expect(buildAppCompose({ dockerCompose: merged })).to.include({ docker_compose_file: merged });
    expect(() => buildAppCompose({ dockerCompose: "services:\n  <<: {}\n" })).to.throw(InvalidAppComposeError);
  });

  it("accepts anchors, merge keys and services from an alias", () => {
    const texts = [
      "x-base: &base\n  restart: always\nservices:\n  a:\n    <<: *base\n    ports: []\n",
      "x-services: &all\n  app: {}\nservices: *all\n",
      `x-env: &env {A: b}\nservices:\n${Array.from({ length: 300 }, (_, index) => `  s${index}: {environment: *env}\n`).join("")}`,
    ];
    for (const text of texts) expect(buildAppCompose({ dockerCompose: text }).docker_compose_file).to.equal(text);
  });

  it("refuses invalid names without quoting them, and repeated names", () => {
    for (const name of ["", "1A", "A-B", "A B", "ä"]) {
      expect(() => buildAppCompose({ dockerCompose, allowedEnvs: ["OK", name] })).to.throw(InvalidEnvironmentError);
    }
    expect(() => buildAppCompose({ dockerCompose, allowedEnvs: ["A", "A"] })).to.throw(InvalidEnvironmentError);
    try {
      buildAppCompose({ dockerCompose, allowedEnvs: ["s3cr3t-value"] });
    } catch (error) {
      expect(JSON.stringify(error)).not.to.include("s3cr3t");
    }
  });
});

describe("changeAppCompose", () => {
  it("changes only the named fields", () => {
    const changes = fc.record(
      {
        preLaunchScript: arbitraryText,
        allowedEnvs: fc.uniqueArray(fc.constantFrom("A", "B", "C")),
        publicLogs: fc.boolean(),
        publicSysinfo: fc.boolean(),
        publicTcbinfo: fc.boolean(),
        dockerCompose: fc.constant(dockerCompose),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(arbitraryAppCompose, changes, (current, wanted) => {
        const before = structuredClone(current);
        const changed = changeAppCompose(current, wanted);
        expect(current, "the document given stays as it was").to.deep.equal(before);
        const { docker_compose_file, pre_launch_script, allowed_envs, public_logs, public_sysinfo, public_tcbinfo } =
          current;
        const names = wanted.allowedEnvs?.toSorted().join() || undefined;
        const isReordered = [allowed_envs].flat().sort().join() === names;
        expect(changed).to.deep.equal(
          withoutUndefined({
            ...current,
            docker_compose_file: wanted.dockerCompose ?? docker_compose_file,
            pre_launch_script: wanted.preLaunchScript ?? pre_launch_script,
            allowed_envs: isReordered ? allowed_envs : (wanted.allowedEnvs ?? allowed_envs),
            public_logs: wanted.publicLogs ?? public_logs,
            public_sysinfo: wanted.publicSysinfo ?? public_sysinfo,
            public_tcbinfo: wanted.publicTcbinfo ?? public_tcbinfo,
          }),
        );
      }),
    );
  });

  it("keeps the order of the same names, and takes over other names", () => {
    const current = { allowed_envs: ["B", "A", "C"] };
    for (const [wanted, expected] of [
      [["A", "B", "C"], "B,A,C"],
      [["A", "B"], "A,B"],
      [["A", "B", "D"], "A,B,D"],
      [["D", "C", "B", "A"], "D,C,B,A"],
      [[], ""],
    ] as const)
      expect(changeAppCompose(current, { allowedEnvs: wanted }).allowed_envs?.join()).to.equal(expected);
    expect(changeAppCompose({}, { allowedEnvs: [] })).to.deep.equal({ allowed_envs: [] });
  });

  it("does not check a compose file that stays as it is", () => {
    const current = { runner: "docker-compose", docker_compose_file: "not: a compose file\n" };
    expect(changeAppCompose(current, { publicLogs: false })).to.deep.equal({ ...current, public_logs: false });
  });

  it("refuses a script that makes the document too large", () => {
    const current = buildAppCompose({ dockerCompose });
    expect(() => changeAppCompose(current, { preLaunchScript: "x".repeat(204_800) })).to.throw(PayloadTooLargeError);
  });
});

describe("canonical text", () => {
  it("parses back to the normalised document", () => {
    fc.assert(
      fc.property(arbitraryAppCompose, (document) => {
        expect(parseAppCompose(writeAppCompose(document))).to.deep.equal(normaliseAppCompose(document));
      }),
    );
  });

  it("and hash do not depend on key order or formatting", () => {
    fc.assert(
      fc.property(arbitraryAppCompose, fc.constantFrom("", "  ", "\t"), (document, indent) => {
        const reordered = parseAppCompose(JSON.stringify(reverseKeys(document), null, indent));
        expect(computeComposeHash(reordered)).to.equal(computeComposeHash(document));
      }),
    );
  });
});

function contextOf(action: () => unknown): Readonly<Record<string, unknown>> {
  try {
    action();
  } catch (error) {
    if (error instanceof InvalidAppComposeError) return error.context;
    throw error;
  }
  return expect.fail("nothing was refused");
}

function reverseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reverseKeys(member)]),
  );
}

function withoutUndefined(document: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined));
}
