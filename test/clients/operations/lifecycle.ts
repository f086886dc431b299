import { expect } from "chai";
import { safeGetCvm } from "../../../src/cloud/get-cvm.ts";
import { CvmNotFoundError } from "../../../src/errors/index.ts";
import { expectInForce, expectOperations, isHashAllowed } from "../harness/checks.ts";
import type { Lane, TestCvm } from "../harness/lane.ts";
import type { OperationGroup } from "../harness/operation.ts";

export const lifecycleGroup: OperationGroup = {
  title: "Life of a CVM",
  operations: [
    {
      name: "stopCvm, startCvm",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await cli.succeed(["cvms", "stop", cvm.id]);
        await expectStatus(lane, cvm, "stopped");
        await cli.succeed(["cvms", "start", cvm.id]);
        await expectStatus(lane, cvm, "running");
        expectOperations(lane, cvm, ["create", "stop", "start"]);
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await sdk.call("stopCvm", { id: cvm.id });
        await expectStatus(lane, cvm, "stopped");
        await sdk.call("startCvm", { id: cvm.id });
        await expectStatus(lane, cvm, "running");
        expectOperations(lane, cvm, ["create", "stop", "start"]);
      },
    },
    {
      name: "shutdownCvm",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await sdk.call("shutdownCvm", { id: cvm.id });
        await expectStatus(lane, cvm, "stopped");
        expectOperations(lane, cvm, ["create", "shutdown"]);
      },
    },
    {
      name: "restartCvm",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await cli.succeed(["cvms", "restart", cvm.id]);
        await expectInForce(lane, cvm, { composeHash: cvm.composeHash });
        expectOperations(lane, cvm, ["create", "restart"]);
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await sdk.call("restartCvm", { id: cvm.id, force: true });
        await expectInForce(lane, cvm, { composeHash: cvm.composeHash });
        expectOperations(lane, cvm, ["create", "restart"]);
      },
    },
    {
      name: "start refused by the contract: the hash was withdrawn",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await sdk.call("stopCvm", { id: cvm.id });
        await expectStatus(lane, cvm, "stopped");
        await lane.withdrawHash(cvm, cvm.composeHash);
        await sdk.call("startCvm", { id: cvm.id });
        await expectStatus(lane, cvm, "error");
        const refused = lane.world.cloud.readHistory(cvm.id).at(-1);
        expect(refused).to.include({ kind: "start", state: "failed" });
        expect(refused?.failure).to.match(/compose hash/i);
      },
    },
    {
      name: "deleteCvm",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await cli.succeed(["cvms", "delete", cvm.id, "-f"]);
        await expectGone(lane, cvm);
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await sdk.call("deleteCvm", { id: cvm.id });
        await expectGone(lane, cvm);
      },
    },
  ],
};

async function expectStatus(lane: Lane, cvm: TestCvm, status: string): Promise<void> {
  await lane.world.cloud.whenIdle();
  expect(await lane.readCvm(cvm)).to.include({ status });
}

/** The backend has the CVM no longer. The contract, which only its owner changes, is unchanged. */
async function expectGone(lane: Lane, cvm: TestCvm): Promise<void> {
  await lane.world.cloud.whenIdle();
  const answer = await safeGetCvm(lane.world.cloudClient, { cvm: cvm.id });
  expect(answer).to.have.property("error").that.is.instanceOf(CvmNotFoundError);
  expect(await isHashAllowed(lane, cvm, cvm.composeHash), "hash on chain").to.equal(true);
}
