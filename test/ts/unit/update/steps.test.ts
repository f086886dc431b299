import { expect } from "chai";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { buildAppCompose, changeAppCompose } from "../../../../src/core/app-compose.ts";
import { computeComposeHash } from "../../../../src/core/compose-hash.ts";
import { type ComposeHash, parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import {
  CloudProtocolError,
  CloudUnreachableError,
  HashMismatchError,
  RolloverFailedError,
  RolloverTimeoutError,
  UnauthorizedError,
} from "../../../../src/errors/index.ts";
import { createUpdateEmitter, type UpdateEvent } from "../../../../src/update/events.ts";
import type { CloudPort, CvmSnapshot, PatchAnswer } from "../../../../src/update/ports.ts";
import type { UpdateRecord } from "../../../../src/update/progress.ts";
import type { UpdateRequest, UpdateRun } from "../../../../src/update/run.ts";
import { draftOf, fingerprintEnvironment, patch } from "../../../../src/update/steps/document.ts";
import { followRollover } from "../../../../src/update/steps/follow-rollover.ts";
import { readCvm } from "../../../../src/update/steps/read-cvm.ts";
import { runUpdate } from "../../../../src/update/update-cvm.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { appId, chainId, simulate } from "../../../support/update/simulation.ts";

const oldHash = parseComposeHash("c1".repeat(32));
const newHash = parseComposeHash("c2".repeat(32));
const thirdHash = parseComposeHash("c3".repeat(32));

function snapshot(
  status: string,
  composeHash: ComposeHash | undefined = oldHash,
  changes: Partial<CvmSnapshot> = {},
): CvmSnapshot {
  const busy = status.endsWith("ing") && status !== "running";
  return {
    id: "cvm_1",
    name: "my-app",
    status,
    busy,
    operationId: undefined,
    appId,
    vmUuid: undefined,
    composeHash,
    chainId,
    ...changes,
  };
}

/** A run whose cloud answers with these states of the CVM in order, and repeats the last one. */
function watching(
  states: readonly (CvmSnapshot | Error)[],
  cloud: Partial<CloudPort> = {},
  request: Omit<UpdateRequest, "cvm"> = {},
) {
  const ledger = memoryLedger();
  const run = simulate().start(ledger, request);
  let next = 0;
  const port: CloudPort = {
    ...run.cloud,
    readCvm: async () => {
      const state = states[Math.min(next++, states.length - 1)];
      if (state === undefined || state instanceof Error) throw state;
      return state;
    },
    readBootError: async () => undefined,
    ...cloud,
  };
  return { run: { ...run, cloud: port } satisfies UpdateRun, ledger };
}

/** The time limit of a rollover in the simulation, in ms. */
const simulatedRolloverMs = 60_000;
const unreachable = new CloudUnreachableError("GET", "/cvms/my-app");

describe("readCvm", () => {
  it("waits for a CVM that is busy", async () => {
    const { run } = watching([snapshot("updating"), snapshot("restarting"), snapshot("running", newHash)]);
    expect(await readCvm(run)).to.include({ status: "running", composeHash: newHash });
  });

  it("accepts a CVM that is not busy, running or not", async () => {
    for (const status of ["running", "stopped", "error"]) {
      const { run } = watching([snapshot(status), unreachable]);
      expect(await readCvm(run)).to.include({ status });
    }
  });

  it("gives up when the CVM stays busy", async () => {
    const { run } = watching([snapshot("updating", oldHash, { operationId: "op-1" })]);
    const error = await catchError(readCvm(run), RolloverTimeoutError);
    expect(error.context).to.include({ cvm: "my-app", status: "updating", correlationId: "op-1" });
  });

  it("refuses a CVM without an app", async () => {
    const { run } = watching([snapshot("running", oldHash, { appId: undefined })]);
    await catchError(readCvm(run), CloudProtocolError);
  });

  it("recognises a CVM's UUID in each notation", async () => {
    const keys = ["9F5D6D0E-6F0A-4A86-9D4B-9D3D0D1F0A11", "9f5d6d0e6f0a4a869d4b9d3d0d1f0a11"].map(async (vmUuid) => {
      const { run } = watching([snapshot("running", oldHash, { vmUuid })]);
      return (await readCvm(run)).key;
    });
    expect(new Set(await Promise.all(keys)).size).to.equal(1);
  });
});

describe("patch", () => {
  const registration: PatchAnswer = {
    kind: "registrationRequired",
    composeHash: newHash,
    appId,
    deviceId: undefined,
    chainId,
    correlationId: undefined,
  };
  const target = { ...snapshot("running"), appId, key: "cvm_1" };
  const requested = { allowed_envs: ["A"] };

  it("does not register a hash with an app or on a chain other than the CVM's", async () => {
    for (const wrong of [{ appId: parseAppId("a2".repeat(20)) }, { chainId: 1 }]) {
      const { run } = watching([], { patch: async () => ({ ...registration, ...wrong }) });
      await catchError(patch(run, target, draftOf(run, { requested }, undefined)), CloudProtocolError);
    }
    const { run } = watching([], { patch: async () => registration });
    expect(await patch(run, target, draftOf(run, { requested }, undefined))).to.equal(registration);
  });

  it("sends the requested changes, with the environment encrypted", async () => {
    let draft: unknown;
    const request = { dockerCompose: "x", environment: [{ key: "A", value: "secret" }], publicLogs: false };
    const cloud: Partial<CloudPort> = {
      patch: async (_, given) => {
        draft = given;
        return registration;
      },
    };
    const { run } = watching([], cloud, request);
    await patch(run, target, draftOf(run, { requested }, "cipher"));
    expect(JSON.parse(JSON.stringify(draft))).to.deep.equal({
      dockerCompose: "x",
      allowedEnvs: ["A"],
      publicLogs: false,
      encryptedEnvironment: "cipher",
    });
  });
});

describe("fingerprintEnvironment", () => {
  const of = (environment: UpdateRequest["environment"]) =>
    fingerprintEnvironment(watching([], {}, { environment }).run);

  it("is equal for the same variables in another order, and for no others", () => {
    const [a, b] = [
      { key: "A", value: "1" },
      { key: "B", value: "2" },
    ];
    expect(of([a, b])).to.equal(of([b, a]));
    expect(of([a, b])).to.not.equal(of([a]));
    expect(of([a, b])).to.not.equal(
      of([
        { key: "A", value: "2" },
        { key: "B", value: "1" },
      ]),
    );
    expect(of([])).to.be.a("string");
    expect(of(undefined)).to.equal(null);
  });
});

describe("followRollover", () => {
  const before = snapshot("running", oldHash);
  const record: UpdateRecord = {
    status: "confirmed",
    key: "cvm_1",
    appId,
    chainId,
    composeHash: newHash,
    previousComposeHash: oldHash,
    environment: null,
    correlationId: "op-1",
    payments: [],
  };
  const rollover = { record };

  function begun(
    states: readonly (CvmSnapshot | Error)[],
    cloud: Partial<CloudPort> = {},
    request: Omit<UpdateRequest, "cvm"> = {},
  ) {
    const watched = watching(states, cloud, request);
    watched.run.progress.write(record);
    return watched;
  }
  const statusOf = ({ progress }: UpdateRun) => progress.read(record)?.status;

  it("ends when the CVM runs the new compose file, after temporary faults", async () => {
    const { run } = begun([snapshot("updating"), unreachable, snapshot("updating"), snapshot("running", newHash)]);
    expect(await followRollover(run, before, rollover)).to.include({ composeHash: newHash });
  });

  it("reports no fall back when it sees the old compose file before the CVM goes down", async () => {
    const { run } = begun([snapshot("running"), snapshot("updating"), snapshot("running", newHash)]);
    expect(await followRollover(run, before, rollover)).to.include({ composeHash: newHash });
  });

  it("reports why the CVM fell back, and records it", async () => {
    const { run } = begun([snapshot("updating"), snapshot("running")], {
      readBootError: async () => "no device",
    });
    const error = await catchError(followRollover(run, before, rollover), RolloverFailedError);
    expect(error.context).to.include({ reason: "no device", correlationId: "op-1" });
    expect(statusOf(run)).to.equal("failed");
  });

  it("ends the reason of a fall back with exactly one full stop", async () => {
    const { run } = begun([snapshot("updating"), snapshot("running")], {
      readBootError: async () => "OS image is not allowed.",
    });
    const error = await catchError(followRollover(run, before, rollover), RolloverFailedError);
    expect(error.message).to.match(/: OS image is not allowed\.$/);
  });

  it("recognises a fall back without a reason", async () => {
    const { run } = begun([snapshot("updating"), snapshot("running")]);
    await catchError(followRollover(run, before, rollover), RolloverFailedError);
    expect(statusOf(run)).to.equal("failed");
  });

  for (const status of ["error", "failed"]) {
    it(`ends with a CVM in status ${status}`, async () => {
      const { run } = begun([snapshot("updating"), snapshot(status, newHash)]);
      const error = await catchError(
        followRollover(run, { ...before, composeHash: newHash }, rollover),
        RolloverFailedError,
      );
      expect(error.context.reason).to.include(status);
    });
  }

  it("reports an environment that cannot be decrypted, even with the same hash", async () => {
    const sameHash = { ...before, composeHash: newHash };
    const failing = begun([snapshot("updating"), snapshot("running", newHash)], {
      readBootError: async () => "unreadable",
    });
    await catchError(followRollover(failing.run, sameHash, rollover), RolloverFailedError);
    const fine = begun([snapshot("updating"), snapshot("running", newHash)]);
    expect(await followRollover(fine.run, sameHash, rollover)).to.include({ composeHash: newHash });
  });

  it("waits for a stopped CVM up to a time limit", async () => {
    const { run } = begun([snapshot("stopped")]);
    const error = await catchError(followRollover(run, before, rollover), RolloverTimeoutError);
    expect(error.context).to.include({ status: "stopped", correlationId: "op-1" });
    expect(statusOf(run)).to.equal("confirmed");
  });

  it("asks seldom while the cloud's stream reports, and not beyond the time limit", async () => {
    let looks = 0;
    async function* reportOnce(): AsyncGenerator<string> {
      yield "updating";
      await new Promise(() => {});
    }
    const cloud: Partial<CloudPort> = {
      readCvm: async () => {
        looks += 1;
        return snapshot("updating");
      },
    };
    const polled = begun([], cloud);
    const error = await catchError(followRollover(polled.run, before, rollover), RolloverTimeoutError);
    expect(error.context.waitedMs).to.equal(60_000);
    expect(looks).to.be.greaterThan(50);

    looks = 0;
    const followed = begun([], { ...cloud, watchStatus: reportOnce });
    await catchError(followRollover(followed.run, before, rollover), RolloverTimeoutError);
    expect(looks).to.be.within(12, 15);
  });

  describe("while the cloud waits for the finality of the registration", () => {
    const awaiting = snapshot("awaiting_finality", oldHash, { awaitedTag: "finalized", busy: true });

    /** A chain whose stage reaches block 7, the latest one, at this time. */
    function waiting(
      states: Parameters<typeof begun>[0],
      {
        reachedAt,
        tagged = (block: bigint) => block,
      }: { reachedAt: number; tagged?: (block: bigint) => bigint | undefined },
    ) {
      const { run } = begun(states);
      const events: UpdateEvent[] = [];
      const emitter = createUpdateEmitter(run.clock.now, (event) => events.push(event));
      const readStage = async () => {
        const isReached = run.clock.now() >= reachedAt;
        const taggedBlock = tagged(isReached ? 7n : 6n);
        return { latestBlock: isReached ? 9n : 7n, taggedBlock, typicalMs: 1_235_000, longestMs: 4_940_000 };
      };
      return { run: { ...run, emitter, chain: { ...run.chain, readStage } }, events };
    }

    it("does not count that time, says once what it waits for, and follows the rollover", async () => {
      const reachedAt = 20 * simulatedRolloverMs;
      const { run, events } = waiting([], { reachedAt });
      const readCvm = async () => {
        if (run.clock.now() < reachedAt) return awaiting;
        return run.clock.now() < reachedAt + simulatedRolloverMs / 2
          ? snapshot("updating")
          : snapshot("running", newHash);
      };
      const following = { ...run, cloud: { ...run.cloud, readCvm } };
      expect(await followRollover(following, before, rollover)).to.include({ composeHash: newHash });
      expect(events.filter(({ kind }) => kind === "awaitingFinality")).to.deep.equal([
        {
          ...{ kind: "awaitingFinality", step: "followRollover", tag: "finalized" },
          ...{ blockNumber: 7n, typicalMs: 1_235_000 },
        },
      ]);
    });

    it("gives up when the cloud still waits although the chain has reached the stage", async () => {
      const { run } = waiting([awaiting], { reachedAt: 5 * simulatedRolloverMs });
      const error = await catchError(followRollover(run, before, rollover), RolloverTimeoutError);
      expect(error.context.status).to.equal("awaiting_finality");
      expect(error.context.waitedMs).to.be.within(5.9 * simulatedRolloverMs, 6.1 * simulatedRolloverMs);
    });

    it("gives up when the stage stands still, or the endpoint does not know it", async () => {
      const still = waiting([awaiting], { reachedAt: Number.POSITIVE_INFINITY });
      const halted = await catchError(followRollover(still.run, before, rollover), RolloverTimeoutError);
      expect(halted.context.waitedMs).to.equal(4_940_000 + simulatedRolloverMs);
      const blind = waiting([awaiting], { reachedAt: Number.POSITIVE_INFINITY, tagged: () => undefined });
      const unknown = await catchError(followRollover(blind.run, before, rollover), RolloverTimeoutError);
      expect(unknown.context.waitedMs).to.be.within(1_235_000, 1_240_000 + simulatedRolloverMs);
    });

    it("waits in the same way before an update, for one that is under way", async () => {
      const { run } = waiting([awaiting], { reachedAt: 5 * simulatedRolloverMs });
      const error = await catchError(readCvm(run), RolloverTimeoutError);
      expect(error.context.waitedMs).to.be.greaterThan(5 * simulatedRolloverMs);
    });
  });

  it("ends at a permanent fault", async () => {
    const refusal = new UnauthorizedError({ method: "GET", path: "/cvms/my-app", status: 401 });
    const { run } = begun([snapshot("updating"), refusal, snapshot("running", newHash)]);
    expect(await catchError(followRollover(run, before, rollover), UnauthorizedError)).to.equal(refusal);
  });

  it("reports a CVM that another update has changed meanwhile", async () => {
    const { run } = begun([snapshot("updating"), snapshot("running", thirdHash)]);
    const error = await catchError(followRollover(run, before, rollover), RolloverFailedError);
    expect(error.context.reason).to.include(thirdHash);
  });

  describe("when the hash was not compared before", () => {
    const current = buildAppCompose({ dockerCompose: "services:\n  app:\n    image: nginx:1\n" });
    const requested = changeAppCompose(current, { publicLogs: false });
    const document = {
      cvmName: "my-app",
      current,
      requested,
      composeHash: computeComposeHash(requested),
      isUnchanged: false,
      droppedVariables: [],
      unsetNames: [],
    };
    const uncompared = { record: { ...record, composeHash: document.composeHash }, document };

    it("compares it with the hash in force at the end", async () => {
      const { run } = begun([snapshot("updating"), snapshot("running", thirdHash)]);
      const error = await catchError(followRollover(run, before, uncompared), HashMismatchError);
      expect(error.context).to.include({ expected: document.composeHash, fromCloud: thirdHash });
      expect(statusOf(run)).to.equal("failed");
    });

    it("accepts exactly the hash that the caller accepted", async () => {
      const { run } = begun([snapshot("running", thirdHash)], {}, { acceptHashMismatch: thirdHash });
      expect(await followRollover(run, before, uncompared)).to.include({ composeHash: thirdHash });
    });
  });
});

describe("runUpdate", () => {
  const request = { dockerCompose: "services:\n  app:\n    image: nginx:2\n" };

  it("reports the start and end of every step, and nothing after a failed step", async () => {
    const simulation = simulate();
    const events: UpdateEvent[] = [];
    const run = simulation.start(memoryLedger(), request, (event) => events.push(event));
    let asked = 0;
    const broken = { ...run, chain: { ...run.chain, readChainId: async () => (asked++ < 2 ? chainId : 1) } };
    await catchError(runUpdate(broken), Error);
    expect(events.map(({ kind, step }) => `${kind} ${step}`)).to.deep.equal([
      "started readCvm",
      "finished readCvm",
      "started buildDocument",
      "finished buildDocument",
      "started proveDocument",
      "finished proveDocument",
      "started patch",
      "finished patch",
      "started checkHash",
      "finished checkHash",
      "started readChain",
    ]);
  });

  it("leaves the ledger unchanged when there is nothing to do", async () => {
    const ledger = memoryLedger();
    const result = await runUpdate(simulate().start(ledger, {}));
    expect(result).to.include({ outcome: "unchanged" });
    expect(ledger.readNotes("update").size).to.equal(0);
  });

  it("measures its steps with the given clock", async () => {
    const result = await runUpdate(simulate().start(memoryLedger(), request));
    const durations = Object.fromEntries(result.steps.map(({ step, durationMs }) => [step, durationMs]));
    // The simulated clock moves only in the waits: two pauses while the CVM restarts.
    expect(durations).to.include({ buildDocument: 0, checkHash: 0, followRollover: 250 });
  });
});

describe("createReporter", () => {
  it("reports the current step", async () => {
    const emitter = createUpdateEmitter(() => 0);
    await emitter.run(
      "confirm",
      async () => expect(emitter.step).to.equal("confirm"),
      () => ({ correlationId: undefined, attempts: 1 }),
    );
  });
});
