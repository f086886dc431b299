import { Ajv2020, type AnySchemaObject } from "ajv/dist/2020.js";
import { expect } from "chai";
import { requireValidDockerCompose, validateDockerCompose } from "../../../../src/core/compose-schema/validate.ts";
import { InvalidAppComposeError } from "../../../../src/errors/index.ts";
import { cpuTimeOf } from "../../../support/cpu-time.ts";
import { rejection } from "../../../support/rejection.ts";
import { readJson, readText } from "../../../support/repository/files.ts";

const web = "services:\n  web:\n    image: nginx\n";
const withDatabase = `${web}    depends_on: [db]\n  db:\n    image: postgres\n`;

describe("validateDockerCompose", () => {
  const refused: readonly [what: string, text: string, problem: string, ...more: string[]][] = [
    [
      "an image indented like its service",
      "services:\n  web:\n  image: nginx\n",
      "services.web must be a mapping, at line 2, column 3",
      "services.image must be a mapping (image is also a setting of a service: is it indented too little?), at line 3, column 3",
    ],
    ["a service without content", `${web}  worker:\n`, "services.worker must be a mapping, at line 4, column 3"],
    ["a service that is text", "services:\n  web: nginx\n", "services.web must be a mapping, at line 2, column 3"],
    [
      "a key with a typing error",
      `${web}    prots: ["80:80"]\n`,
      "services.web.prots is not a known key (did you mean ports?), at line 4, column 5",
    ],
    [
      "a key like no other",
      `${web}    something: 1\n`,
      "services.web.something is not a known key, at line 4, column 5",
    ],
    [
      "a mapping in a list of variables",
      `${web}    environment:\n      - URL: x\n`,
      "services.web.environment[0] must be text, at line 5, column 9",
    ],
    [
      "a list in a mapping of variables",
      `${web}    environment: {A: [b]}\n`,
      "services.web.environment.A must be text, a number, true or false or empty, at line 4, column 19",
    ],
    [
      "a name that is none",
      `${web}  a b:\n    image: x\n`,
      'services."a b" is not a name that the Compose Specification allows (letters, digits, dot, dash and underscore), at line 4, column 3',
    ],
    [
      "a missing key",
      `${web}    ulimits: {nofile: {soft: 1}}\n`,
      "services.web.ulimits.nofile has no hard, at line 4, column 15",
    ],
    [
      "another value than the allowed ones",
      withDatabase.replace("[db]", "{db: {condition: ready}}"),
      "services.web.depends_on.db.condition must be one of service_started, service_healthy, service_completed_successfully, at line 4, column 23",
    ],
    [
      "the same network twice",
      `${web}    networks: [default, default]\n`,
      "services.web.networks has the same item twice, as items 1 and 2, at line 4, column 5",
    ],
    [
      "problems of several kinds, in the order of the file",
      `${web}    ports: ["x:80"]\n    networks: [front]\n    privileged: perhaps\n    hostname: \${A b}\n`,
      "services.web.ports[0] has no valid host port, at line 4, column 13",
      "services.web.networks names the network front, which is not defined in networks, at line 5, column 5",
      "services.web.privileged must be true or false, at line 6, column 5",
      "services.web.hostname has a $ that begins no variable (write $$ for a dollar sign), at line 7, column 5",
    ],
    [
      "an undefined service",
      `${web}    depends_on: [db]\n`,
      "services.web.depends_on names the service db, which is not defined, at line 4, column 5",
    ],
    [
      "a service that does not start",
      `${withDatabase}    profiles: [debug]\n`,
      "services.web.depends_on names the service db, which starts only with a profile, at line 4, column 5",
    ],
    [
      "services that wait for each other",
      `${withDatabase}    links: [web]\n`,
      "services.web waits for itself: web -> db -> web, at line 2, column 3",
    ],
    [
      "an undefined service in another setting",
      `${web}    network_mode: service:vpn\n    volumes_from: [data:ro]\n`,
      "services.web.network_mode names the service vpn, which is not defined, at line 4, column 5",
      "services.web.volumes_from names the service data, which is not defined, at line 5, column 5",
    ],
    [
      "an undefined volume, secret and config",
      `${web}    volumes: ["/a:/b", "data:/d"]\n    secrets: [token]\n    configs: [{source: site}]\n`,
      "services.web.volumes[1] names the volume data, which is not defined in volumes, at line 4, column 24",
      "services.web.secrets[0] names the secret token, which is not defined in secrets, at line 5, column 15",
      "services.web.configs[0] names the config site, which is not defined in configs, at line 6, column 15",
    ],
    [
      "a service that extends an undefined one",
      `${web}    extends: base\n`,
      "services.web.extends names the service base, which is not defined, at line 4, column 5",
    ],
    [
      "neither image nor build",
      "services:\n  web:\n    command: a\n",
      "services.web has no image, build or provider, at line 2, column 3",
    ],
    [
      "a command that Docker cuts",
      `${web}    command: npm install && npm start\n    entrypoint: sh -c "a && b"\n`,
      "services.web.command has & outside of quotes, and Docker leaves out what follows (write a list: sh, -c and the text), at line 4, column 5",
    ],
    [
      "a time, which Docker changes",
      `${web}    environment: {RELEASED: 2026-12-01}\n`,
      "services.web.environment.RELEASED is a time that Docker writes in another form (write it in quotes), at line 4, column 19",
    ],
    [
      "two documents",
      `${web}---\n${web}`,
      "The docker compose file contains 2 YAML documents, which Docker Compose would merge; the second begins at line 4.",
    ],
    ["no service", "services: {}\n", "The docker compose file has no service."],
  ];
  for (const [what, text, ...messages] of refused)
    it(`refuses ${what}`, async () => {
      const problems = await validateDockerCompose(text);
      expect(problems.map(({ message }) => message)).to.deep.equal(messages);
    });

  it("accepts unknown keys if the caller does, and then names the other problems", async () => {
    const newer = `${web}    something: 1\n    networks: {default: {other: 1}}\n`;
    expect(await validateDockerCompose(newer)).to.have.length(2);
    expect(await validateDockerCompose(newer, { acceptUnknownComposeKeys: true })).to.deep.equal([]);
    for (const text of [`${newer}  worker:\n`, `${newer}  a b:\n    image: x\n`, `${newer}    image: b\n`])
      expect(await validateDockerCompose(text, { acceptUnknownComposeKeys: true })).to.have.length(1);
  });

  it("judges a service with the settings that it inherits", async () => {
    const base = `${web}    profiles: [never]\n    network_mode: none\n    command: "a 'b'"\n`;
    expect(await validateDockerCompose(`${base}  other:\n    extends: web\n    command: [a]\n`)).to.deep.equal([]);
    const problems = await validateDockerCompose(
      `${web}    networks: [default]\n  other:\n    extends: web\n    network_mode: none\n`,
    );
    expect(problems.map(({ message }) => message)).to.deep.equal([
      "services.other must have either network_mode or networks, not both, at line 5, column 3",
    ]);
  });

  it("judges a merged mapping where it is written", async () => {
    const text = "x-base: &base\n  restart: always\n  prots: []\nservices:\n  web:\n    <<: *base\n    image: nginx\n";
    const [problem] = await validateDockerCompose(text);
    expect(problem).to.deep.equal({
      path: "services.web.prots",
      message: "services.web.prots is not a known key (did you mean ports?), at line 3, column 3",
      line: 3,
      column: 3,
      isUnknownKey: true,
    });
  });

  const lines = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join("");
  const large: readonly [what: string, text: string, problems: number][] = [
    [
      "services that wait for each other in a row",
      `services:\n${lines(4000, (index) => `  s${index}: {image: a, depends_on: [s${index + 1}]}\n`)}  s4000: {image: a}\n`,
      0,
    ],
    ["unknown keys", `${web}${lines(4000, (index) => `    unknown_${index}: 1\n`)}`, 1000],
    ["wrong items", `${web}    environment:\n${lines(4000, () => "      - a: b\n")}`, 1000],
    [
      "wrong items of an alias",
      `x-a: &a [${"{a: b}, ".repeat(300)}]\nservices:\n${lines(300, (index) => `  s${index}: {image: a, environment: *a}\n`)}`,
      1000,
    ],
    [
      "services that extend each other in a row",
      `services:\n  s0: {image: a}\n${lines(3000, (index) => `  s${index + 1}: {extends: s${index}}\n`)}`,
      1000,
    ],
    ["nested defaults", `${web}    hostname: ${JSON.stringify("${A:-".repeat(2000) + "}".repeat(2000))}\n`, 0],
  ];
  for (const [what, text, count] of large)
    it(`takes little time for thousands of ${what}`, async () => {
      let found = 0;
      const time = await cpuTimeOf(async () => {
        found = (await validateDockerCompose(text)).length;
      });
      expect(found).to.equal(count);
      expect(time).to.be.lessThan(8000);
    });
});

describe("requireValidDockerCompose", () => {
  const refusalOf = async (text: string) => {
    const error = await rejection(requireValidDockerCompose(text));
    if (error instanceof InvalidAppComposeError) return error;
    throw error;
  };

  it("names each problem, and what to do", async () => {
    const { message, nextStep, context, code } = await refusalOf(`${web}    prots: []\n    restart: 1\n`);
    expect(code).to.equal("DSTK-1002");
    expect(message).to.equal(
      "The docker compose file is invalid: services.web.prots is not a known key (did you mean ports?), at line 4, column 5; services.web.restart must be text, at line 5, column 5.",
    );
    expect(nextStep).to.include("`docker compose config`");
    expect(context.problems).to.have.length(2);
  });

  it("says how to accept a key, if only keys are wrong", async () => {
    const { nextStep } = await refusalOf(`${web}    prots: []\n`);
    expect(nextStep).to.include("`acceptUnknownComposeKeys`");
  });

  it("names ten problems of more", async () => {
    const keys = Array.from({ length: 12 }, (_, index) => `    unknown_${index}: 1\n`).join("");
    const { message, context } = await refusalOf(`${web}${keys}`);
    expect(message).to.include("unknown_9").and.include("and 2 more").and.not.include("unknown_10");
    expect(context.problems).to.have.length(12);
  });

  it("accepts what Docker accepts", async () => {
    await requireValidDockerCompose(withDatabase);
  });
});

describe("the schema of the Compose Specification", () => {
  const folder = "src/core/compose-schema";

  it("is a valid schema", () => {
    const ajv = new Ajv2020({ strict: false });
    expect(ajv.validateSchema(readJson<AnySchemaObject>(`${folder}/compose-spec.json`)), ajv.errorsText()).to.equal(
      true,
    );
  });

  it("has its licence beside it, and its origin in the notice of the package", () => {
    const { module, version, license } = readJson<Record<string, string>>(`${folder}/origin.json`);
    expect(license).to.equal("Apache-2.0");
    expect(readText(`${folder}/LICENSE`))
      .to.include("Apache License")
      .and.include("The Compose Specification Authors");
    expect(readText("NOTICE")).to.include(module).and.include(`version ${version} `);
  });
});
