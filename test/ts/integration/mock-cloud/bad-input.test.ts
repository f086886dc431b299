import { expect } from "chai";
import { network } from "hardhat";
import { cpuTimeOf } from "../../../support/cpu-time.ts";
import {
  apiKey,
  type CloudWorld,
  createOnChainCvm,
  dockerCompose,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

const yamlBomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[..."bcdefghij"]
  .map((name, index) => {
    const previous = "abcdefghi"[index];
    return `${name}: &${name} [${Array(9).fill(`*${previous}`).join(",")}]\n`;
  })
  .join("")}services:\n  app:\n    image: nginx\n    x-bomb: *j\n`;
const oversized = `services:\n  app:\n    image: nginx\n# ${"x".repeat(200 * 1024)}\n`;

describe("bad input to the mock cloud", () => {
  let world: CloudWorld;
  let cvm: TestCvm;
  let before_: Record<string, unknown>;

  before(async () => {
    world = await startCloudWorld(await network.create("local"), {
      deviceLogin: true,
      workspaces: [
        { name: "Test", apiKeys: [{ key: apiKey }] },
        { name: "Other", apiKeys: [{ key: "the-other-key" }] },
      ],
    });
    cvm = await createOnChainCvm(world);
    before_ = await state();
  });
  after(() => world.cloud.close());
  // No request of these tests changes anything.
  afterEach(async () => expect(await state()).to.deep.equal(before_));

  async function state() {
    const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    return { ...body, history: world.cloud.readHistory(cvm.id) };
  }

  const patch = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    request(world.cloud, "PATCH", `/cvms/${cvm.id}${path}`, { body, headers });

  const malformed: [
    name: string,
    path: string,
    body: unknown,
    loc: (string | number)[],
    headers?: Record<string, string>,
  ][] = [
    ["a number as compose file", "", { docker_compose_file: 7 }, ["body", "docker_compose_file"]],
    ["a list as body", "", [], ["body"]],
    ["names that are not strings", "", { allowed_envs: [1] }, ["body", "allowed_envs", "0"]],
    ["a flag that is a string", "", { public_logs: "yes" }, ["body", "public_logs"]],
    ["half a processor", "", { vcpu: 0.5 }, ["body", "vcpu"]],
    ["negative memory", "", { memory: -1 }, ["body", "memory"]],
    ["an environment that is not hex", "/envs", { encrypted_env: "zz".repeat(60) }, ["body", "encrypted_env"]],
    ["hex with an odd number of digits", "/envs", { encrypted_env: "a".repeat(121) }, ["body", "encrypted_env"]],
    [
      "an environment shorter than an empty one",
      "/envs",
      { encrypted_env: "ab".repeat(59) },
      ["body", "encrypted_env"],
    ],
    ["no environment", "/envs", {}, ["body", "encrypted_env"]],
    ["an environment of null", "/envs", { encrypted_env: null }, ["body", "encrypted_env"]],
    ["a script that is not a string", "/pre-launch-script", { pre_launch_script: {} }, ["body", "pre_launch_script"]],
    [
      "a form without the part file",
      "/docker-compose",
      "--b\r\n\r\n--b--\r\n",
      ["body", "file"],
      { "Content-Type": "multipart/form-data; boundary=b" },
    ],
    ["no hash to commit", "/compose_file", {}, ["body", "compose_hash"]],
    ["a hash of 31 bytes to commit", "/compose_file", { compose_hash: "ab".repeat(31) }, ["body", "compose_hash"]],
    [
      "a hash of 33 bytes in a header",
      "",
      {},
      ["header", "X-Compose-Hash"],
      { "X-Compose-Hash": "ab".repeat(33), "X-Transaction-Hash": "already-registered" },
    ],
    [
      "a hash that is not hex",
      "",
      { compose_hash: "xy".repeat(32), transaction_hash: "already-registered" },
      ["body", "compose_hash"],
    ],
    [
      "a transaction hash cut short",
      "",
      {},
      ["header", "X-Transaction-Hash"],
      { "X-Compose-Hash": "ab".repeat(32), "X-Transaction-Hash": "0xabcd" },
    ],
  ];
  for (const [name, path, body, loc, headers] of malformed) {
    it(`answers 422 and says where: ${name}`, async () => {
      const answer = await patch(path, body, headers);
      expect(answer.status, answer.text).to.equal(422);
      expect(answer.body.detail).to.have.nested.property("[0].loc").that.deep.equals(loc);
      expect(answer.body.detail).to.have.nested.property("[0].msg").that.is.a("string");
    });
  }

  const hash = "ab".repeat(32);
  const confirmations: [body: unknown, field: string][] = [
    [undefined, "compose_hash"],
    ["null", "compose_hash"],
    [{}, "compose_hash"],
    [{ compose_hash: null, transaction_hash: null }, "compose_hash"],
    [{ compose_hash: "", transaction_hash: "" }, "compose_hash"],
    [{ composeHash: "", transactionHash: null }, "compose_hash"],
    [{ compose_hash: hash }, "transaction_hash"],
    [{ composeHash: hash, transactionHash: "" }, "transaction_hash"],
    [{ transactionHash: `0x${hash}` }, "compose_hash"],
    [{ vcpu: 3 }, "compose_hash"],
    [{ docker_compose_file: "services:\n  app:\n    image: nginx:9\n" }, "compose_hash"],
    [{ compose_hash: hash, transaction_hash: `0x${hash}`, vcpu: 3 }, "vcpu"],
    [{ composeHash: hash, transactionHash: `0x${hash}`, allowed_envs: [] }, "allowed_envs"],
    [{ compose_hash: hash, composeHash: "cd".repeat(32), transaction_hash: `0x${hash}` }, "composeHash"],
    [{ compose_hash: 7, transaction_hash: `0x${hash}` }, "compose_hash"],
    [{ composeHash: [hash], transactionHash: `0x${hash}` }, "composeHash"],
    [{ compose_hash: hash, transaction_hash: "0xabcd" }, "transaction_hash"],
  ];
  for (const [body, field] of confirmations) {
    it(`confirms nothing and changes nothing: ${JSON.stringify(body)?.slice(0, 60)}`, async () => {
      const headers = { "Content-Type": "application/json" };
      const answer = await request(world.cloud, "POST", `/cvms/${cvm.id}/confirm-patch`, { body, headers });
      expect(answer.status, answer.text).to.equal(422);
      expect(answer.body.detail).to.have.nested.property("[0].loc").that.deep.equals(["body", field]);
    });
  }

  it("refuses half of a confirmation, and JSON without a script", async () => {
    for (const body of [{ composeHash: hash }, { transactionHash: hash }, { compose_hash: hash }]) {
      expect((await patch("", body)).status, JSON.stringify(body)).to.equal(422);
    }
    for (const body of [{}, { pre_launch_script: null }, { preLaunchScript: "echo" }, { vcpu: 3 }]) {
      expect((await patch("/pre-launch-script", body)).status, JSON.stringify(body)).to.equal(422);
    }
  });

  it("answers 422 to a body that is not JSON", async () => {
    const answer = await patch("", "{", { "Content-Type": "application/json" });
    expect(answer.status).to.equal(422);
    expect(answer.body.detail).to.have.nested.property("[0].type", "json_invalid");
  });

  const invalidCompose: [name: string, text: string][] = [
    ["YAML that does not parse", "services: ["],
    ["a compose file without services", "version: '3'\n"],
    ["YAML that grows without end", yamlBomb],
    ["several documents", `${dockerCompose}---\n${dockerCompose}`],
    ["more than 200 KiB", oversized],
    ["an empty text", ""],
  ];
  for (const [name, text] of invalidCompose) {
    it(`answers 400 with ERR-01-003 to ${name}, quickly`, async () => {
      const body = { docker_compose_file: text };
      const spent = await cpuTimeOf(async () => {
        for (const answer of [
          await patch("", body),
          await request(world.cloud, "POST", `/cvms/${cvm.id}/compose_file/provision`, { body }),
        ]) {
          expect(answer.status, answer.text.slice(0, 300)).to.equal(400);
          expect(answer.body).to.include({ error_code: "ERR-01-003" });
          expect(answer.body.message).to.be.a("string").with.lengthOf.at.most(400);
        }
      });
      expect(spent).to.be.below(2000);
    });
  }

  it("counts compose file and script together against the limit", async () => {
    const docker_compose_file = `${dockerCompose}# ${"x".repeat(150 * 1024)}\n`;
    const answer = await patch("", { docker_compose_file, pre_launch_script: `# ${"x".repeat(60 * 1024)}` });
    expect(answer.status).to.equal(400);
    expect(answer.body).to.include({ error_code: "ERR-01-003" });
  });

  it("asks for a missing compose file", async () => {
    for (const headers of [{ "Content-Type": "text/yaml" }, {}] as Record<string, string>[]) {
      const answer = await patch("/docker-compose", undefined, headers);
      expect(answer.status).to.equal(400);
      expect(answer.body).to.include({ error_code: "ERR-01-002" });
    }
    const body = { name: "no-compose", compose_file: {} };
    const provisioned = await request(world.cloud, "POST", "/cvms/provision", { body });
    expect(provisioned.body).to.include({ error_code: "ERR-01-002" });
  });

  it("answers 413 to a body above the limit, and 415 to one in an unknown format", async () => {
    expect((await patch("", { docker_compose_file: "x".repeat(1_100_000) })).status).to.equal(413);
    const answer = await patch("", "<a/>", { "Content-Type": "application/xml" });
    expect(answer.status).to.equal(415);
    expect(answer.body.detail).to.be.a("string");
  });

  it("refuses an OS image, instance type, node or KMS that is not its own", async () => {
    expect((await patch("", { image: "dstack-9.9.9" })).body).to.include({ error_code: "ERR-02-010" });
    expect((await patch("", { instance_type: "tdx.galactic" })).body).to.include({ error_code: "ERR-02-001" });
    for (const [extra, code] of [
      [{ teepod_id: 99 }, "ERR-01-001"],
      [{ image: "dstack-9.9.9" }, "ERR-02-010"],
      [{ kms: "ETHEREUM" }, "ERR-02-011"],
      [{ instance_type: "tdx.galactic" }, "ERR-02-001"],
    ] as const) {
      const body = { name: "new-cvm", compose_file: { docker_compose_file: dockerCompose }, ...extra };
      const answer = await request(world.cloud, "POST", "/cvms/provision", { body });
      expect(answer.body, JSON.stringify(extra)).to.include({ error_code: code });
    }
  });

  it("creates no CVM that was not provisioned, and none with a malformed id", async () => {
    const create = (body: unknown) => request(world.cloud, "POST", "/cvms", { body });
    const compose_hash = "ab".repeat(32);
    expect((await create({ app_id: "11".repeat(20), compose_hash })).status).to.equal(466);
    expect((await create({ app_id: "11".repeat(19), compose_hash })).status).to.equal(422);
    expect((await create({ app_id: cvm.appId, compose_hash })).body).to.include({ error_code: "ERR-03-007" });
    const again = await create({ app_id: cvm.appId, compose_hash: cvm.composeHash });
    expect(again.status).to.equal(200);
    expect(again.body).to.include({ app_id: cvm.appId.slice(2) });
    const foreign = await request(world.cloud, "POST", "/cvms", {
      body: { app_id: cvm.appId, compose_hash: cvm.composeHash },
      headers: { "X-API-Key": "the-other-key" },
    });
    expect(foreign.body).to.include({ error_code: "ERR-03-007" });
  });

  it("refuses names the official clients refuse, and names that are taken", async () => {
    const compose_file = { docker_compose_file: dockerCompose };
    for (const name of ["abcd", "1abcd", "ab--cd", "abcd-", "a".repeat(64), "under_score"]) {
      const { status } = await request(world.cloud, "POST", "/cvms/provision", { body: { name, compose_file } });
      expect(status, name).to.equal(422);
    }
    const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    const taken = await request(world.cloud, "POST", "/cvms/provision", { body: { name: body.name, compose_file } });
    expect(taken.status).to.equal(409);
    expect(taken.body).to.include({ error_code: "ERR-01-004" });
  });

  it("names the methods of a path when the request has another", async () => {
    for (const [method, path, allow] of [
      ["PUT", `/cvms/${cvm.id}`, "DELETE, GET, HEAD, PATCH, POST"],
      ["OPTIONS", "/auth/me", "GET, HEAD"],
      ["DELETE", `/cvms/${cvm.id}/commit-update`, "GET, HEAD, POST"],
    ] as const) {
      const answer = await request(world.cloud, method, path);
      expect({ status: answer.status, allow: answer.headers.get("allow"), body: answer.body }).to.deep.equal({
        status: 405,
        allow,
        body: { detail: "Method Not Allowed" },
      });
    }
    expect((await request(world.cloud, "PUT", "/cvms/a/b/c/d")).status).to.equal(404);
    const headers = { "X-API-Key": apiKey };
    const head = await fetch(`${world.cloud.baseUrl}/auth/me`, { method: "HEAD", headers });
    expect({ status: head.status, text: await head.text() }).to.deep.equal({ status: 200, text: "" });
  });

  it("answers a URL that cannot be decoded like every refusal", async () => {
    for (const id of ["%zz", "%ff", "a%"]) {
      const { status, body, headers } = await request(world.cloud, "GET", `/cvms/${id}`);
      expect(status, id).to.equal(400);
      expect(body).to.include({ error_code: "ERR-02-008", request_id: headers.get("x-request-id") });
      expect(body.message).to.be.a("string");
    }
  });

  it("finds nothing under names that every JavaScript object has", async () => {
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
      for (const path of ["/kms", "/kms/on-chain", "/instance-types", "/cvms", "/apps", "/workspaces"]) {
        const { status, text } = await request(world.cloud, "GET", `${path}/${name}`);
        expect(status, `${path}/${name}: ${text}`).to.equal(404);
      }
    }
  });

  it("answers 422 to JSON of too many levels, where a document may hold every key", async () => {
    const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
    const headers = { "Content-Type": "application/json" };
    for (const levels of [101, 5_000, 100_000]) {
      const compose = `"docker_compose_file": ${JSON.stringify(dockerCompose)}, "x": ${nested(levels)}`;
      for (const [path, body] of [
        [`/cvms/${cvm.id}/compose_file/provision`, `{${compose}}`],
        ["/cvms/provision", `{"name": "deep-cvm", "compose_file": {${compose}}}`],
        ["/auth/device/code", nested(levels)],
      ] as const) {
        const answer = await request(world.cloud, "POST", path, { body, headers });
        expect(answer.status, `${path}, ${levels} levels: ${answer.text}`).to.equal(422);
        expect(answer.body.detail).to.have.nested.property("[0].type", "recursion_limit");
      }
    }
  });

  it("accepts compose file and script of exactly 200 KiB in bytes, and not one byte more", async () => {
    const compose = `${dockerCompose}# ${"é".repeat(1000)}\n`;
    const room = 200 * 1024 - Buffer.byteLength(compose);
    const answers = [room, room + 1].map((bytes) =>
      patch("", { docker_compose_file: compose, pre_launch_script: "x".repeat(bytes) }),
    );
    const [fits, exceeds] = await Promise.all(answers);
    expect(fits?.status).to.equal(465);
    expect(exceeds?.body).to.include({ error_code: "ERR-01-003" });
  });

  it("says in one sentence that no node has room", async () => {
    const compose_file = { docker_compose_file: dockerCompose };
    const capacity = { vcpu: 1, memoryMb: 1024, cvmSlots: 1 };
    world.cloud.seed({ nodes: [{ id: 9, name: "small-node", region: "small", deviceId: "99".repeat(32), capacity }] });
    const body = { name: "huge-cvm", compose_file, region: "small" };
    const answer = await request(world.cloud, "POST", "/cvms/provision", { body });
    expect(answer.body).to.include({
      error_code: "ERR-02-002",
      message: "No node in region small has room for this CVM.",
    });
  });

  it("accepts no prototype in a body", async () => {
    const answer = await patch("", '{"__proto__": {"docker_compose_file": "x"}}', {
      "Content-Type": "application/json",
    });
    expect(answer.status).to.equal(422);
  });

  it("repeats no content of a request in an error", async () => {
    const secret = "sekret-value-1234";
    for (const answer of [
      await patch("/envs", { encrypted_env: secret }),
      await patch("", { encrypted_env: [secret] }),
      await patch("", `{"encrypted_env": "${secret}`, { "Content-Type": "application/json" }),
      await patch("", { docker_compose_file: `services: [${secret}` }),
      await patch("", {}, { "X-Compose-Hash": secret, "X-Transaction-Hash": secret }),
    ]) {
      expect(answer.status).to.be.oneOf([400, 422]);
      expect(answer.text).to.not.include(secret);
      expect(answer.text).to.not.include(apiKey);
    }
  });
});
