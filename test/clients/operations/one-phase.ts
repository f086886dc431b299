import { expect } from "chai";
import { expectInForce, expectUntouched } from "../harness/checks.ts";
import type { KmsKind } from "../harness/lane.ts";
import { nextCompose } from "../harness/lane.ts";
import type { Operation, OperationGroup } from "../harness/operation.ts";
import type { Sdk } from "../harness/sdk.ts";

const kinds: readonly KmsKind[] = ["on-chain", "off-chain"];

export const onePhaseGroup: OperationGroup = {
  title: "Updates in one phase",
  operations: [
    ...kinds.flatMap((kms): Operation[] => [
      {
        name: `updateCvmEnvs, other values, ${kms} KMS`,
        cli: async ({ cli, lane }) => {
          const cvm = await lane.createCvm(kms);
          await cli.succeed(["envs", "update", cvm.id, "-e", "MODE=green"]);
          await expectInForce(lane, cvm, { composeHash: cvm.composeHash, environment: green });
        },
        sdk: async ({ sdk, lane }) => {
          const cvm = await lane.createCvm(kms);
          const encrypted_env = await lane.encrypt(cvm, green);
          const answer = await sdk.call("updateCvmEnvs", { id: cvm.id, encrypted_env });
          expect(answer).to.include({ status: "in_progress", allowed_envs_changed: false });
          await expectInForce(lane, cvm, { composeHash: cvm.composeHash, environment: green });
        },
      },
      {
        name: `updateCvmResources, ${kms} KMS`,
        cli: async ({ cli, lane }) => {
          const cvm = await lane.createCvm(kms);
          const size = ["--vcpu", "2", "--memory", "4096", "--disk-size", "60"];
          await cli.succeed(["cvms", "resize", cvm.id, ...size, "--allow-restart", "true", "-y"]);
          await expectInForce(lane, cvm, { composeHash: cvm.composeHash });
          expect(await lane.readCvm(cvm)).to.deep.include({ vcpu: 2, memory: 4096, disk_size: 60 });
        },
        sdk: async ({ sdk, lane }) => {
          const cvm = await lane.createCvm(kms);
          const size = { vcpu: 2, memory: 4096, disk_size: 60, allow_restart: true };
          await sdk.call("updateCvmResources", { id: cvm.id, ...size });
          await expectInForce(lane, cvm, { composeHash: cvm.composeHash });
          expect(await lane.readCvm(cvm)).to.deep.include({ vcpu: 2, memory: 4096, disk_size: 60 });
        },
      },
      {
        name: `updateOsImage, ${kms} KMS`,
        sdk: async ({ sdk, lane }) => {
          const cvm = await lane.createCvm(kms);
          const [, other] = lane.world.osImages;
          await sdk.call("updateOsImage", { id: cvm.id, os_image_name: other.name });
          await expectInForce(lane, cvm, { composeHash: cvm.composeHash });
          expect(await lane.readCvm(cvm)).to.include({ base_image: other.name });
        },
      },
    ]),
    {
      name: "updateCvmEnvs, other names, on-chain KMS, transaction and all by the CLI",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const env = { PRIVATE_KEY: lane.ownerKey, ETH_RPC_URL: lane.world.chain.rpcUrl };
        await cli.succeed(["envs", "update", cvm.id, "-e", "MODE=green", "-e", "LEVEL=7"], { env });
        await expectInForce(lane, cvm, {
          document: { allowed_envs: ["MODE", "LEVEL"] },
          environment: [...green, { key: "LEVEL", value: "7" }],
        });
        const { transactionHash } = lane.world.cloud.readHistory(cvm.id).at(-1) ?? {};
        expect(transactionHash, "transaction").to.match(/^0x/);
      },
    },
    {
      name: "envs encrypt, then envs update --encrypted-env",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const { stdout } = await cli.succeed(["envs", "encrypt", cvm.id, "-e", "MODE=green"]);
        const encrypted = /\b[0-9a-f]{120,}\b/.exec(stdout)?.[0] ?? "";
        await cli.succeed(["envs", "update", cvm.id, "--encrypted-env", encrypted]);
        await expectInForce(lane, cvm, { composeHash: cvm.composeHash, environment: green });
      },
    },
    {
      name: "patchCvm that changes nothing",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const { docker_compose_file } = await lane.readDocument(cvm);
        await sdk.call("patchCvm", { id: cvm.id, docker_compose_file });
        await expectUntouched(lane, cvm);
      },
    },
    ...kinds.map(
      (kms): Operation => ({
        name: `provision and commit a compose file, ${kms} KMS`,
        sdk: async ({ sdk, lane }) => {
          const cvm = await lane.createCvm(kms);
          const composeHash = await provisionFile(sdk, cvm.id, { ...(await lane.readDocument(cvm)) });
          await expectUntouched(lane, cvm);
          if (kms === "on-chain") await lane.registerHash(cvm, composeHash);
          const encrypted_env = await lane.encrypt(cvm, green);
          const commit = { id: cvm.id, compose_hash: composeHash, encrypted_env, env_keys: ["MODE"] };
          await sdk.call("commitCvmComposeFileUpdate", commit);
          await expectInForce(lane, cvm, {
            document: { docker_compose_file: nextCompose },
            composeHash,
            environment: green,
          });
        },
      }),
    ),
  ],
};

const green = [{ key: "MODE", value: "green" }];

/** Plans the next compose file on top of a document and returns its hash. */
export async function provisionFile(sdk: Sdk, id: string, document: Record<string, unknown>): Promise<string> {
  const app_compose = { ...document, docker_compose_file: nextCompose };
  const planned = Object(await sdk.call("provisionCvmComposeFileUpdate", { id, app_compose }));
  expect(planned.compose_hash).to.be.a("string");
  return planned.compose_hash;
}
