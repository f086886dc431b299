import { expect } from "chai";
import { patchCvm } from "../../../src/cloud/patch-cvm.ts";
import { withoutPrefix } from "../../../src/core/ids.ts";
import { expectInForce, expectRefusal, expectUntouched } from "../harness/checks.ts";
import type { CliRun } from "../harness/cli.ts";
import { type Lane, newName, nextCompose, type TestCvm } from "../harness/lane.ts";
import { expectNothingChanged, withOwnClock } from "../harness/movement.ts";
import type { OperationGroup } from "../harness/operation.ts";
import { refuseCommit } from "./deploy.ts";

const compose = "docker-compose.yml";
const otherCompose = "services:\n  app:\n    image: nginx:1.29\n";
const files = { [compose]: nextCompose };

/** The time of the `slow-rollover` fault, longer than each row. The row moves the clock to its end. */
const slowMs = 600_000;

export const conflictGroup: OperationGroup = {
  title: "Conflicts",
  operations: [
    {
      name: "restartCvm while an update rolls over: the CLI waits, the others get a 409",
      cli: async ({ cli, lane }) =>
        awaitRolloverEnd(lane, {
          run: (cvm) => cli.succeed(["cvms", "restart", cvm.id]),
          // It reads the CVM first.
          isHeldUp: ({ method }) => method === "GET",
          says: /in progress/i,
          done: "restart",
        }),
      sdk: async ({ sdk, lane }) =>
        duringRollover(lane, async (cvm) => {
          await expectRefusal(sdk.call("restartCvm", { id: cvm.id, force: false }), { status: 409 });
        }),
    },
    {
      name: "patchCvm while an update rolls over: 409",
      cli: async ({ cli, lane }) =>
        duringRollover(lane, async (cvm) => {
          const args = ["deploy", "--cvm-id", cvm.id, "-c", compose];
          const { text } = await cli.fail(args, { files: { [compose]: otherCompose } });
          expect(text).to.match(/409|in progress|busy|conflict/i);
        }),
      sdk: async ({ sdk, lane }) =>
        duringRollover(lane, async (cvm) => {
          const call = sdk.call("patchCvm", { id: cvm.id, docker_compose_file: otherCompose });
          await expectRefusal(call, { status: 409 });
        }),
    },
    {
      name: "updateCvmResources while an update rolls over: the CLI waits, the others get a 409",
      cli: async ({ cli, lane }) =>
        awaitRolloverEnd(lane, {
          run: (cvm) => {
            const size = ["--vcpu", "2", "--memory", "4096", "--disk-size", "60"];
            return cli.succeed(["cvms", "resize", cvm.id, ...size, "--allow-restart", "true", "-y"]);
          },
          // It tries until the cloud accepts.
          isHeldUp: ({ status }) => status === 409,
          says: /busy/i,
          done: "update",
        }),
      sdk: async ({ sdk, lane }) =>
        duringRollover(lane, async (cvm) => {
          const call = sdk.call("updateCvmResources", { id: cvm.id, vcpu: 2, allow_restart: true });
          await expectRefusal(call, { status: 409 });
        }),
    },
    {
      name: "two updates of one CVM at once, off-chain KMS: one wins, the other gets a 409",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await withOwnClock(lane, async () => {
          lane.world.cloud.setFault({ kind: "slow-rollover", cvm: cvm.id, times: 1, ms: slowMs });
          const texts = [nextCompose, otherCompose];
          const args = ["deploy", "--cvm-id", cvm.id, "-c", compose, "--json"];
          const runs = await Promise.all(texts.map((text) => cli.run(args, { files: { [compose]: text } })));
          expect(runs.map(({ code }) => code).sort()).to.deep.equal([0, 1]);
          expect(runs.find(({ code }) => code === 1)?.text).to.match(/409|in progress|busy|conflict/i);
          const winner = runs.findIndex(({ code }) => code === 0);
          await endRollover(lane);
          await expectInForce(lane, cvm, { document: { docker_compose_file: texts[winner] ?? "" } });
          expect(lane.world.cloud.readHistory(cvm.id)).to.have.length(2);
        });
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await withOwnClock(lane, async () => {
          lane.world.cloud.setFault({ kind: "slow-rollover", cvm: cvm.id, times: 1, ms: slowMs });
          const texts = [nextCompose, otherCompose];
          const update = (docker_compose_file: string) =>
            sdk.call("updateDockerCompose", { id: cvm.id, docker_compose_file });
          const answers = await Promise.allSettled(texts.map(update));
          const winner = answers.findIndex(({ status }) => status === "fulfilled");
          const [loser, ...rest] = answers.filter(({ status }) => status === "rejected");
          expect(rest).to.have.length(0);
          await expectRefusal(Promise.reject(loser?.status === "rejected" ? loser.reason : loser), { status: 409 });
          await endRollover(lane);
          await expectInForce(lane, cvm, { document: { docker_compose_file: texts[winner] ?? "" } });
          expect(lane.world.cloud.readHistory(cvm.id)).to.have.length(2);
        });
      },
    },
    {
      name: "provisionCvm with the app id of an app that exists: 409, ERR-03-007",
      cli: async ({ cli, lane }) => {
        const taken = await lane.standingCvm("off-chain");
        const appId = withoutPrefix(taken.appId);
        const args = ["deploy", "-n", newName(), "-c", compose, "--custom-app-id", appId, "--nonce", "0"];
        await expectNothingChanged(lane, async () => {
          const { text } = await cli.fail(args, { files });
          expect(text).to.match(/ERR-03-007|exists already/i);
        });
      },
      sdk: async ({ sdk, lane }) => {
        const taken = await lane.standingCvm("off-chain");
        const wanted = {
          name: newName(),
          compose_file: { name: "", docker_compose_file: nextCompose },
          kms: "PHALA",
          instance_type: "tdx.small",
          app_id: withoutPrefix(taken.appId),
          nonce: 0,
        };
        await expectNothingChanged(lane, () =>
          expectRefusal(sdk.call("provisionCvm", wanted), { status: 409, code: "ERR-03-007" }),
        );
      },
    },
    {
      name: "confirm 14 days after the proposal: 466",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await withOwnClock(lane, async () => {
          const proposal = await patchCvm(lane.world.cloudClient, { cvm: cvm.id, dockerCompose: nextCompose });
          if (proposal.kind !== "registrationRequired") throw new Error("Expected a hash to register.");
          const { composeHash } = proposal;
          const transactionHash = await lane.registerHash(cvm, composeHash);
          await lane.world.advance(14 * 24 * 60 * 60);
          const sent = sdk.call("updateDockerCompose", {
            id: cvm.id,
            docker_compose_file: nextCompose,
            compose_hash: composeHash,
            transaction_hash: transactionHash,
          });
          await expectRefusal(sent, { status: 466, code: "ERR-01-006" });
          await expectUntouched(lane, cvm);
        });
      },
    },
    {
      name: "deploy --commit 14 days after --prepare-only: 466",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await withOwnClock(lane, async () => {
          const prepare = ["deploy", "--cvm-id", cvm.id, "-c", compose, "--prepare-only", "--json"];
          const prepared = (await cli.succeed(prepare, { files })).json();
          await lane.registerHash(cvm, String(prepared.compose_hash));
          await lane.world.advance(14 * 24 * 60 * 60);
          await refuseCommit(cli, lane, cvm, String(prepared.commit_token), [], 466);
          await expectUntouched(lane, cvm);
        });
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await withOwnClock(lane, async () => {
          const wanted = { id: cvm.id, docker_compose_file: nextCompose, prepareOnly: true };
          const proposal = Object(await sdk.call("patchCvm", wanted).catch((error: unknown) => error));
          const { commitToken: token, composeHash } = proposal;
          // Clients that cannot prepare have no function to commit either, and say so here.
          if (token === undefined) await sdk.call("commitCvmUpdate", {});
          const transactionHash = await lane.registerHash(cvm, composeHash);
          await lane.world.advance(14 * 24 * 60 * 60);
          const commit = { id: cvm.id, token, composeHash, transactionHash };
          await expectRefusal(sdk.call("commitCvmUpdate", commit), { status: 466, code: "ERR-01-006" });
          await expectUntouched(lane, cvm);
        });
      },
    },
  ],
};

/** A CVM whose update ends only after the work, and then succeeds. */
async function duringRollover(lane: Lane, work: (cvm: TestCvm) => Promise<void>): Promise<void> {
  const cvm = await lane.createCvm("off-chain");
  await withOwnClock(lane, async () => {
    lane.world.cloud.setFault({ kind: "slow-rollover", cvm: cvm.id, times: 1, ms: slowMs });
    await startUpdate(lane, cvm);
    await work(cvm);
    await endRollover(lane);
    await expectInForce(lane, cvm, { document: { docker_compose_file: nextCompose } });
    expect(lane.world.cloud.readHistory(cvm.id), "operations").to.have.length(2);
  });
}

interface Waiting {
  /** The command. */
  run(cvm: TestCvm): Promise<CliRun>;
  /** Whether that answer tells it to wait. */
  isHeldUp(request: { readonly method: string; readonly status: number }): boolean;
  /** Its text about waiting. */
  readonly says: RegExp;
  /** The operation that it starts at the end. */
  readonly done: "restart" | "update";
}

/** Runs a command during a rollover, and ends the rollover after the cloud has refused the command once. */
async function awaitRolloverEnd(lane: Lane, { run, isHeldUp, says, done }: Waiting): Promise<void> {
  const cvm = await lane.createCvm("off-chain");
  await withOwnClock(lane, async () => {
    lane.world.cloud.setFault({ kind: "slow-rollover", cvm: cvm.id, times: 1, ms: slowMs });
    await startUpdate(lane, cvm);
    const heldUp = lane.untilAnswered((request) => request.path.includes("/cvms/") && isHeldUp(request));
    const running = run(cvm);
    await Promise.race([heldUp, running]);
    await endRollover(lane);
    expect((await running).text).to.match(says);
    await expectInForce(lane, cvm, { document: { docker_compose_file: nextCompose } });
    const kinds = lane.world.cloud.readHistory(cvm.id).map(({ kind }) => kind);
    expect(kinds).to.deep.equal(["create", "update", done]);
  });
}

async function startUpdate({ world }: Lane, cvm: TestCvm): Promise<void> {
  const { kind } = await patchCvm(world.cloudClient, { cvm: cvm.id, dockerCompose: nextCompose });
  expect(kind).to.equal("accepted");
}

async function endRollover({ world }: Lane): Promise<void> {
  await world.advance(slowMs / 1000);
  await world.cloud.whenIdle();
}
