import { expect } from "chai";
import { withoutPrefix } from "../../../src/core/ids.ts";
import { readDevices } from "../harness/checks.ts";
import { ClientError } from "../harness/client-errors.ts";
import { firstEnvironment, type Lane, type TestCvm } from "../harness/lane.ts";
import type { OperationGroup } from "../harness/operation.ts";
import { signing } from "./devices.ts";

/** The node of the first CVM. The cloud puts a further CVM on another node, unless the request names this one. */
const occupied = 1;

export const replicaGroup: OperationGroup = {
  title: "Replicas and instances",
  operations: [
    {
      name: "replicateCvm, off-chain KMS",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await cli.succeed(["cvms", "replicate", cvm.id, "--node-id", String(occupied)]);
        await expectInstances(lane, cvm, 2, occupied);
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await sdk.call("replicateCvm", { id: cvm.id, node_id: occupied });
        await expectInstances(lane, cvm, 2, occupied);
      },
    },
    {
      name: "replicateCvm, on-chain KMS, node not allowed: 465 with a token",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await lane.disallowDevice(cvm, lane.world.nodes[1].deviceId);
        await cli.succeed(["cvms", "replicate", cvm.id, "--node-id", "2"], { env: signing(lane) });
        await expectInstances(lane, cvm, 2);
        expect((await readDevices(lane, cvm, lane.world.nodes[1].deviceId)).deviceListed).to.equal(true);
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await lane.disallowDevice(cvm, lane.world.nodes[1].deviceId);
        const error = await sdk.call("replicateCvm", { id: cvm.id, node_id: 2 }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (!(error instanceof ClientError)) throw error ?? new Error("Expected a 465.");
        expect(error.status).to.equal(465);
        expect(JSON.stringify(error.detail)).to.include("commit_token");
        await expectInstances(lane, cvm, 1);
      },
    },
    {
      name: "cvms replicate --prepare-only, register, --commit",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const { deviceId } = lane.world.nodes[1];
        await lane.disallowDevice(cvm, deviceId);
        const args = ["cvms", "replicate", cvm.id];
        const prepared = await cli.succeed([...args, "--node-id", "2", "--prepare-only", "--json"]);
        await expectInstances(lane, cvm, 1);
        // Unlike deploy --prepare-only, this command prints its JSON in camel case.
        const { commitToken, composeHash } = prepared.json();
        await lane.allowDevice(cvm, deviceId);
        const token = ["--commit", "--token", String(commitToken), "--compose-hash", String(composeHash)];
        await cli.succeed([...args, ...token]);
        await expectInstances(lane, cvm, 2);
      },
    },
    {
      name: "createAppInstance, off-chain KMS",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await cli.succeed(["instances", "add", "--app-id", withoutPrefix(cvm.appId), "--node-id", String(occupied)]);
        await expectInstances(lane, cvm, 2, occupied);
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await sdk.call("createAppInstance", { appId: withoutPrefix(cvm.appId), node_id: occupied });
        await expectInstances(lane, cvm, 2, occupied);
      },
    },
    {
      name: "instances add, on-chain KMS, node not allowed",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await lane.disallowDevice(cvm, lane.world.nodes[1].deviceId);
        const args = ["instances", "add", "--app-id", withoutPrefix(cvm.appId), "--node-id", "2"];
        await cli.succeed(args, { env: signing(lane) });
        await expectInstances(lane, cvm, 2);
        expect((await readDevices(lane, cvm, lane.world.nodes[1].deviceId)).deviceListed).to.equal(true);
      },
    },
    {
      name: "instances rm",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        await cli.succeed(["cvms", "replicate", cvm.id, "--node-id", "2"]);
        const replica = (await expectInstances(lane, cvm, 2)).find(({ vm_uuid }) => vm_uuid !== cvm.vmUuid);
        await cli.succeed(["instances", "rm", String(replica?.vm_uuid), "-y"]);
        await expectInstances(lane, cvm, 1);
      },
    },
  ],
};

interface Instance {
  readonly id: string;
  readonly vm_uuid: string;
  readonly status: string;
  readonly compose_hash: string;
  readonly node_info: { readonly id: number };
}

/** That many CVMs of the app run, with its document and environment, every further one on the node it was asked for. */
async function expectInstances(lane: Lane, cvm: TestCvm, count: number, nodeId = 2): Promise<Instance[]> {
  const { cloud, cloudClient } = lane.world;
  await cloud.whenIdle();
  const path = `/apps/${withoutPrefix(cvm.appId)}/cvms` as const;
  const { text } = await cloudClient.request({ method: "GET", path });
  const instances: Instance[] = JSON.parse(text);
  expect(instances).to.have.length(count);
  for (const { id, vm_uuid, status, compose_hash, node_info } of instances) {
    expect({ status, compose_hash }).to.deep.equal({
      status: "running",
      compose_hash: withoutPrefix(cvm.composeHash),
    });
    expect(cloud.readEnvironment(id)).to.deep.equal(firstEnvironment);
    if (vm_uuid !== cvm.vmUuid) expect(node_info.id).to.equal(nodeId);
  }
  return instances;
}
