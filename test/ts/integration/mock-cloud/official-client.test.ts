import { confirmCvmPatch, patchCvm } from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import {
  type CloudWorld,
  createOnChainCvm,
  encryptFor,
  officialClient,
  registerHash,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

describe("the official JS client against the mock cloud", () => {
  let world: CloudWorld;
  let cvm: TestCvm;

  beforeEach(async () => {
    world = await startCloudWorld(await network.create("local"));
    cvm = await createOnChainCvm(world, { environment: [{ key: "MODE", value: "blue" }] });
  });
  afterEach(() => world.cloud.close());

  it("runs a whole two-phase update with a new compose file and environment", async () => {
    const client = officialClient(world.cloud);
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "green" }]);
    const docker_compose_file = "services:\n  app:\n    image: nginx:2\n";

    const proposed = await patchCvm(client, { id: cvm.id, docker_compose_file, encrypted_env });
    if (!proposed.requiresOnChainHash) throw new Error("expected a 465");
    expect(proposed.kmsInfo.chain_id).to.equal(8453);
    const transactionHash = await registerHash(world, cvm.appId, proposed.composeHash);
    const { correlationId } = await confirmCvmPatch(client, {
      id: cvm.id,
      composeHash: proposed.composeHash,
      transactionHash,
    });
    await world.cloud.whenIdle();

    const info = await client.getCvmInfo({ id: cvm.id });
    expect(info).to.include({ status: "running", compose_hash: proposed.composeHash });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "green" }]);
    expect(world.cloud.readHistory(cvm.id).at(-1)).to.include({ correlationId, state: "done", transactionHash });
  });
});
