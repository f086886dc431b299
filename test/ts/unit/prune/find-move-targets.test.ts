import { expect } from "chai";
import { createCloudClient } from "../../../../src/cloud/create-client.ts";
import type { Cvm } from "../../../../src/cloud/cvm.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { findMoveTargets } from "../../../../src/prune/read-cloud-use.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";

const appId = parseAppId("a0".repeat(20));

function cvm(name: string, changes: Partial<Cvm> = {}): Cvm {
  return {
    id: `cvm_${name}`,
    name,
    status: "updating",
    busy: true,
    operationId: `operation of ${name}`,
    appId,
    vmUuid: name,
    instanceId: undefined,
    composeHash: hashNumber(1),
    deviceId: undefined,
    osVersion: undefined,
    chainId: 8453,
    kmsContractAddress: undefined,
    kmsReference: undefined,
    encryptionPublicKey: undefined,
    ...changes,
  };
}

/** The revision of a CVM's operation, which leads to hash `number`. */
function revision(name: string, number: number): Record<string, unknown> {
  const vm = { app_id: appId, vm_uuid: name };
  return {
    ...vm,
    revision_id: `rev_${name}`,
    compose_hash: hashNumber(number).slice(2),
    created_at: "2026-11-01T00:00:00Z",
    trace_id: `operation of ${name}`,
    operation_type: "update",
    cvm: { ...vm, object_type: "cvm", id: `cvm_${name}`, name },
  };
}

interface Answers {
  /** Revisions, page by page, the newest first. Undefined: the cloud fails from there on. */
  readonly pages?: readonly (readonly ReturnType<typeof revision>[] | undefined)[];
  /** The running operation of each CVM. Undefined: the cloud fails. */
  readonly kinds?: Readonly<Record<string, string>> | undefined;
}

/** Asks a cloud that gives these answers. */
function find(cvms: readonly Cvm[], { pages = [[]], kinds }: Answers) {
  const asked: string[] = [];
  const json = (body: unknown) => new Response(JSON.stringify(body), { status: body === undefined ? 500 : 200 });
  const cloud = createCloudClient({
    apiKey: "any",
    baseUrl: "http://cloud.example",
    retry: { attempts: 1 },
    fetch: async (input) => {
      const { pathname, searchParams } = new URL(String(input));
      asked.push(pathname);
      if (pathname.endsWith("/status/batch")) {
        const states = Object.entries(kinds ?? {}).map(([vm_uuid, operation_type]) => [
          vm_uuid,
          {
            vm_uuid,
            status: "updating",
            in_progress: true,
            uptime: null,
            boot_progress: null,
            boot_error: null,
            operation_type,
            operation_started_at: null,
            correlation_id: `operation of ${vm_uuid}`,
          },
        ]);
        return json(kinds && Object.fromEntries(states));
      }
      const page = Number(searchParams.get("page"));
      const revisions = pages[page - 1];
      const counts = { total: 100 * pages.length, page, page_size: 100, total_pages: pages.length };
      return json(revisions && { ...counts, revisions });
    },
  });
  return findMoveTargets(cloud, { appId, cvms }).then(({ movingTo, problems }) => ({
    movingTo: movingTo.map(({ composeHash, cvm: { name } }) => [name, composeHash]),
    problems,
    asked,
  }));
}

describe("findMoveTargets", () => {
  it("makes no request when no operation is running", async () => {
    const { movingTo, problems, asked } = await find([cvm("web", { busy: false })], {});
    expect([...movingTo, ...problems, ...asked]).to.deep.equal([]);
  });

  it("reads page after page until the operations of all CVMs are found", async () => {
    const { movingTo, problems, asked } = await find([cvm("one"), cvm("two")], {
      pages: [[revision("x", 8), revision("y", 9)], [revision("two", 2)], [revision("one", 3)], [revision("z", 4)]],
      kinds: {},
    });
    expect(movingTo).to.deep.equal([
      ["one", hashNumber(3)],
      ["two", hashNumber(2)],
    ]);
    expect(problems).to.deep.equal([]);
    expect(asked.filter((path) => path.endsWith("/revisions"))).to.have.lengthOf(3);
  });

  it("ends at an empty page, even when the cloud's total is larger", async () => {
    const { problems, asked } = await find([cvm("web")], { pages: [[revision("x", 8)], [], [], []], kinds: {} });
    expect(problems).to.have.lengthOf(1);
    expect(asked.filter((path) => path.endsWith("/revisions"))).to.have.lengthOf(2);
  });

  for (const kind of ["start", "stop", "shutdown", "restart"])
    it(`accepts a ${kind} without a hash`, async () => {
      const { movingTo, problems } = await find([cvm("web")], { kinds: { web: kind } });
      expect([...movingTo, ...problems]).to.deep.equal([]);
    });

  it("reports an operation without a known target", async () => {
    const nameless = cvm("nameless", { operationId: undefined, vmUuid: undefined });
    for (const [cvms, kinds] of [
      [[cvm("web")], { web: "update" }],
      [[cvm("web")], { web: "create" }],
      [[cvm("web")], {}],
      [[nameless], { nameless: "restart" }],
    ] as const) {
      const { movingTo, problems } = await find(cvms, { pages: [[{ ...revision("x", 8), trace_id: null }]], kinds });
      expect(movingTo).to.deep.equal([]);
      expect(problems, JSON.stringify(kinds)).to.have.lengthOf(1);
      expect(problems[0]).to.include(cvms[0].name);
    }
  });

  describe("keeps what it has found", () => {
    const both = [cvm("found"), cvm("lost")];

    it("when the cloud does not list the other operations", async () => {
      const { movingTo, problems } = await find(both, { pages: [[revision("found", 2)]] });
      expect(movingTo).to.deep.equal([["found", hashNumber(2)]]);
      expect(problems).to.have.lengthOf(1);
      expect(problems[0]).to.include("lost");
    });

    it("when the cloud fails at a later page", async () => {
      const { movingTo, problems } = await find(both, { pages: [[revision("found", 2)], undefined], kinds: {} });
      expect(movingTo).to.deep.equal([["found", hashNumber(2)]]);
      expect(problems).to.have.lengthOf(1);
      expect(problems[0]).to.include("lost");
    });
  });
});
