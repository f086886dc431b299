import { expect } from "chai";
import { expectRefusal, expectUntouched } from "../harness/checks.ts";
import { nextCompose } from "../harness/lane.ts";
import { expectNothingChanged } from "../harness/movement.ts";
import type { Operation, OperationGroup } from "../harness/operation.ts";
import { provisionFile } from "./one-phase.ts";

interface Change {
  readonly method: string;
  parameters(id: string): Readonly<Record<string, unknown>>;
  /** A field that the API must refuse, although the clients send it. */
  readonly malformed?: Readonly<Record<string, unknown>>;
  readonly cli?: (id: string) => readonly string[];
}

const files = { "docker-compose.yml": nextCompose };
const encrypted_env = "00".repeat(70);

/** Every operation of the seed documents that names a CVM, with something valid to say. */
const changes: readonly Change[] = [
  {
    method: "getCvmInfo",
    parameters: (id) => ({ id }),
    cli: (id) => ["cvms", "get", id],
  },
  { method: "getCvmDockerCompose", parameters: (id) => ({ id }) },
  { method: "getCvmComposeFile", parameters: (id) => ({ id }) },
  { method: "getAvailableOsImages", parameters: (id) => ({ id }) },
  { method: "updateDockerCompose", parameters: (id) => ({ id, docker_compose_file: nextCompose }) },
  { method: "updatePreLaunchScript", parameters: (id) => ({ id, pre_launch_script: "#!/bin/sh\n" }) },
  {
    method: "updateCvmEnvs",
    parameters: (id) => ({ id, encrypted_env, env_keys: ["MODE"] }),
    malformed: { encrypted_env: "zz" },
    cli: (id) => ["envs", "update", id, "-e", "MODE=green"],
  },
  {
    method: "updateCvmResources",
    parameters: (id) => ({ id, vcpu: 2 }),
    malformed: { vcpu: -1 },
    cli: (id) => ["cvms", "resize", id, "--vcpu", "2", "--allow-restart", "true", "-y"],
  },
  { method: "updateCvmVisibility", parameters: (id) => ({ id, public_logs: true, public_sysinfo: true }) },
  {
    method: "updateOsImage",
    parameters: (id) => ({ id, os_image_name: "dstack-0.5.6" }),
  },
  {
    method: "patchCvm",
    parameters: (id) => ({ id, docker_compose_file: nextCompose }),
    malformed: { encrypted_env: "zz" },
    cli: (id) => ["deploy", "--cvm-id", id, "-c", "docker-compose.yml"],
  },
  {
    method: "provisionCvmComposeFileUpdate",
    parameters: (id) => ({ id, app_compose: { name: "", docker_compose_file: nextCompose } }),
  },
  {
    method: "commitCvmComposeFileUpdate",
    parameters: (id) => ({ id, compose_hash: "ab".repeat(32), encrypted_env }),
    malformed: { compose_hash: "abc" },
  },
];

export const refusalGroup: OperationGroup = {
  title: "Refusals",
  operations: [
    ...changes.flatMap((change) => [unknownCvm(change), wrongKey(change), malformed(change)].flat()),
    {
      name: "commitCvmComposeFileUpdate, hash never provisioned: 466",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const commit = { id: cvm.id, compose_hash: "ab".repeat(32), encrypted_env: await lane.encrypt(cvm, []) };
        await expectRefusal(sdk.call("commitCvmComposeFileUpdate", commit), { status: 466, code: "ERR-01-006" });
        await expectUntouched(lane, cvm);
      },
    },
    {
      name: "commitCvmComposeFileUpdate, hash not registered: 468",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const compose_hash = await provisionFile(sdk, cvm.id, { ...(await lane.readDocument(cvm)) });
        const commit = { id: cvm.id, compose_hash, encrypted_env: await lane.encrypt(cvm, []) };
        await expectRefusal(sdk.call("commitCvmComposeFileUpdate", commit), { status: 468, code: "ERR-01-008" });
        await expectUntouched(lane, cvm);
      },
    },
    {
      name: "updateOsImage, image unknown",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("off-chain");
        const call = sdk.call("updateOsImage", { id: cvm.id, os_image_name: "no-such-image" });
        const error = await expectRefusal(call, { code: "ERR-02-010" });
        expect(error.status).to.be.within(400, 499);
        await expectUntouched(lane, cvm);
      },
    },
    {
      name: "provisionCvm, name already taken: 409",
      cli: async ({ cli, lane }) => {
        const { name } = await lane.standingCvm("off-chain");
        const args = ["deploy", "-n", name, "-c", "docker-compose.yml"];
        await expectNothingChanged(lane, () => cli.fail(args, { files }));
      },
      sdk: async ({ sdk, lane }) => {
        const { name } = await lane.standingCvm("off-chain");
        const compose_file = { name: "", docker_compose_file: nextCompose };
        const wanted = { name, compose_file, kms: "PHALA", instance_type: "tdx.small" };
        await expectNothingChanged(lane, () =>
          expectRefusal(sdk.call("provisionCvm", wanted), { status: 409, code: "ERR-01-004" }),
        );
      },
    },
    {
      name: "provisionCvm, name impossible: refused by the client itself or with 422",
      sdk: async ({ sdk }) => {
        const compose_file = { name: "", docker_compose_file: nextCompose };
        const call = sdk.call("provisionCvm", { name: "1", compose_file, kms: "PHALA", instance_type: "tdx.small" });
        const { status, message } = await expectRefusal(call, {});
        expect(status ?? 422).to.equal(422);
        expect(message).to.include("name");
      },
    },
    {
      name: "updateDockerCompose, not YAML: 400",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.standingCvm("off-chain");
        const call = () => sdk.call("updateDockerCompose", { id: cvm.id, docker_compose_file: "services: [" });
        await expectNothingChanged(lane, () => expectRefusal(call(), { status: 400, code: "ERR-01-003" }));
      },
    },
  ],
};

function unknownCvm({ method, parameters, cli }: Change): Operation {
  return {
    name: `${method}, CVM unknown: 404`,
    sdk: async ({ sdk, lane }) => {
      await expectNothingChanged(lane, () =>
        expectRefusal(sdk.call(method, parameters("cvm_nowhere")), { status: 404, code: "ERR-03-001" }),
      );
    },
    ...(cli && {
      cli: async ({ cli: phala, lane }) => {
        await expectNothingChanged(lane, async () => {
          const { text } = await phala.fail(cli("cvm_nowhere"), { files });
          expect(text).to.match(/not found|no CVM|does not exist/i);
        });
      },
    }),
  };
}

function wrongKey({ method, parameters, cli }: Change): Operation {
  const apiKey = "phak_wrong";
  return {
    name: `${method}, API key unknown: 401`,
    sdk: async ({ sdk, lane }) => {
      const { id } = await lane.standingCvm("on-chain");
      await expectNothingChanged(lane, () =>
        expectRefusal(sdk.call(method, parameters(id), { apiKey }), { status: 401 }),
      );
    },
    ...(cli && {
      cli: async ({ cli: phala, lane }) => {
        const { id } = await lane.standingCvm("on-chain");
        await expectNothingChanged(lane, async () => {
          const { text } = await phala.fail(cli(id), { files, apiKey });
          expect(text).to.match(/401|unauthori[sz]ed|API key|authenticat/i);
        });
      },
    }),
  };
}

function malformed({ method, parameters, malformed }: Change): Operation[] {
  if (!malformed) return [];
  return [
    {
      name: `${method}, malformed: 422`,
      sdk: async ({ sdk, lane }) => {
        const { id } = await lane.standingCvm("on-chain");
        const call = () => sdk.call(method, { ...parameters(id), ...malformed });
        await expectNothingChanged(lane, () => expectRefusal(call(), { status: 422 }));
      },
    },
  ];
}
