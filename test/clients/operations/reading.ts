import { setTimeout as wait } from "node:timers/promises";
import { expect } from "chai";
import { hashAppComposeText } from "../../../src/core/compose-hash.ts";
import { withoutPrefix } from "../../../src/core/ids.ts";
import { firstCompose, firstEnvironment, type Lane, type TestCvm } from "../harness/lane.ts";
import type { Operation, OperationGroup } from "../harness/operation.ts";

interface Reading {
  readonly name: string;
  /** The method of the SDKs, if it is not the name. */
  readonly method?: string;
  readonly parameters?: (cvm: TestCvm, lane: Lane) => unknown;
  /** The required content of the answer. Absent when only the CLI has the operation. */
  readonly expect?: (answer: Answer, cvm: TestCvm, lane: Lane) => void;
  readonly command?: (cvm: TestCvm) => readonly string[];
  /** The required output of the CLI. @default the CVM's name */
  readonly prints?: (cvm: TestCvm, lane: Lane) => string | RegExp;
  /** For lists by the page: the newest come first, so only a CVM made just before is sure to be on the first one. */
  readonly ofNewCvm?: true;
}

// biome-ignore lint/suspicious/noExplicitAny: a client may return any value; the expectations check it
type Answer = any;

const byId = ({ id }: TestCvm) => ({ id });
const byApp = ({ appId }: TestCvm) => ({ appId: withoutPrefix(appId) });

const ofCvm: readonly Reading[] = [
  {
    name: "getCvmInfo",
    parameters: byId,
    expect: (info, cvm) => expect(info).to.include({ name: cvm.name, status: "running" }),
    command: ({ id }) => ["cvms", "get", id, "--json"],
  },
  {
    name: "getCvmInfo by app id",
    method: "getCvmInfo",
    parameters: ({ appId }) => ({ id: withoutPrefix(appId) }),
    expect: (info, cvm) => expect(info).to.include({ name: cvm.name }),
    command: ({ appId }) => ["cvms", "get", `app_${withoutPrefix(appId)}`, "--json"],
  },
  {
    name: "getCvmInfo by UUID",
    method: "getCvmInfo",
    parameters: ({ vmUuid }) => ({ uuid: vmUuid }),
    expect: (info, cvm) => expect(info).to.include({ name: cvm.name }),
    command: ({ vmUuid }) => ["cvms", "get", vmUuid, "--json"],
  },
  {
    name: "getCvmDockerCompose",
    parameters: byId,
    expect: (text) => expect(text).to.equal(firstCompose),
  },
  {
    name: "getCvmComposeFile",
    parameters: byId,
    expect: (file) => expect(file).to.deep.include({ docker_compose_file: firstCompose, allowed_envs: ["MODE"] }),
  },
  {
    name: "getCvmPreLaunchScript of a CVM that has none",
    method: "getCvmPreLaunchScript",
    parameters: byId,
    expect: (text) => expect(text).to.equal(""),
  },
  {
    name: "getAvailableOsImages",
    parameters: byId,
    expect: (images, _cvm, { world }) => {
      const [newest] = images;
      expect(newest.prod).to.include({ name: world.osImages[0].name, is_current: true });
      expect(newest.dev).to.include({ is_current: false });
    },
  },
  {
    name: "getCvmState",
    parameters: byId,
    expect: (state, cvm) => expect(state).to.include({ name: cvm.name, status: "running" }),
  },
  { name: "getCvmStats", parameters: byId, expect: (stats) => expect(stats).to.include({ is_online: true }) },
  { name: "getCvmNetwork", parameters: byId, expect: (network) => expect(network).to.include({ is_online: true }) },
  {
    name: "getCvmContainersStats",
    parameters: byId,
    expect: (stats) => {
      expect(stats).to.include({ is_online: true, docker_compose_file: firstCompose });
      expect(stats.containers[0]).to.include({ image: "nginx:1.27", state: "running" });
    },
    command: ({ id }) => ["ps", id, "--json"],
    prints: () => "nginx:1.27",
  },
  {
    name: "getCvmAttestation",
    parameters: byId,
    expect: (attestation, cvm) => {
      expect(attestation).to.include({ is_online: true });
      expect(hashAppComposeText(attestation.tcb_info.app_compose)).to.equal(cvm.composeHash);
    },
    command: ({ id }) => ["cvms", "attestation", id, "--json"],
    // The CLI leaves the document out, but not the event that measured it.
    prints: ({ composeHash }) => withoutPrefix(composeHash),
  },
  {
    name: "getCvmUserConfig",
    parameters: byId,
    expect: (config) => expect(config.ssh_authorized_keys).to.deep.equal([]),
    command: ({ id }) => ["runtime-config", id, "--json"],
    prints: () => /ssh_authorized_keys/,
  },
  {
    name: "getCvmStatusBatch",
    parameters: ({ vmUuid }) => ({ vmUuids: [vmUuid] }),
    expect: (statuses, { vmUuid }) => expect(statuses[vmUuid]).to.include({ status: "running", in_progress: false }),
  },
  {
    name: "getCvmList",
    ofNewCvm: true,
    parameters: () => ({ page: 1, page_size: 100 }),
    expect: (list, cvm) => expect(JSON.stringify(list.items)).to.include(cvm.name),
  },
  {
    name: "refreshCvmInstanceId",
    parameters: byId,
    expect: (result) => expect(result).to.include({ status: "unchanged", verified_with_gateway: false }),
  },
  {
    name: "refreshCvmInstanceIds",
    parameters: () => ({ limit: 10, dry_run: true }),
    expect: (result) => expect(result.items).to.be.an("array").that.is.not.empty,
  },
];

const ofApp: readonly Reading[] = [
  {
    name: "getAppList",
    ofNewCvm: true,
    parameters: () => ({ page: 1, page_size: 100 }),
    expect: (list, cvm) => expect(JSON.stringify(list)).to.include(cvm.name),
    command: () => ["apps", "--page-size", "100", "--json"],
  },
  {
    name: "cvms list",
    ofNewCvm: true,
    command: () => ["cvms", "list", "--json"],
  },
  {
    name: "getAppInfo",
    parameters: byApp,
    expect: (app, cvm) => expect(JSON.stringify(app)).to.include(withoutPrefix(cvm.appId)),
  },
  {
    name: "getAppCvms",
    parameters: byApp,
    expect: (cvms, cvm) => expect(JSON.stringify(cvms)).to.include(cvm.name),
    command: ({ appId }) => ["instances", "ls", "--app-id", withoutPrefix(appId), "--json"],
  },
  {
    name: "getAppRevisions",
    parameters: byApp,
    expect: (list, cvm) =>
      expect(list.revisions[0]).to.include({ compose_hash: withoutPrefix(cvm.composeHash), vm_uuid: cvm.vmUuid }),
  },
  {
    name: "getAppFilterOptions",
    expect: (options, _cvm, { world }) => {
      expect(options.statuses).to.include("running");
      expect(options.kms_slugs).to.include("kms-base-1");
      expect(options.nodes).to.include(world.nodes[0].name);
    },
  },
  {
    name: "getAppAttestation",
    parameters: byApp,
    expect: (attestation, cvm) => {
      expect(attestation.contract_address.toLowerCase()).to.equal(cvm.appId);
      expect(attestation.instances).to.have.length(1);
      const [{ vm_uuid, tcb_info }] = attestation.instances;
      expect(vm_uuid).to.equal(cvm.vmUuid);
      expect(hashAppComposeText(tcb_info.app_compose)).to.equal(cvm.composeHash);
    },
  },
];

const ofPlatform: readonly Reading[] = [
  {
    name: "getCurrentUser",
    expect: (user) => expect(user).to.satisfy((answer: Answer) => answer.workspace?.name || answer.team_name),
    command: () => ["status", "--json"],
    prints: () => /"username": "owner"/,
  },
  {
    name: "whoami",
    command: () => ["whoami"],
    prints: () => "owner (local)",
  },
  {
    name: "getAvailableNodes",
    expect: (answer, _cvm, { world }) => expect(JSON.stringify(answer.nodes)).to.include(world.nodes[1].name),
    command: () => ["cvms", "list-nodes", "--json"],
    prints: (_cvm, { world }) => world.nodes[1].name,
  },
  {
    name: "getWorkspaceNodes",
    parameters: () => ({ teamSlug: "local" }),
    expect: (answer, _cvm, { world }) => expect(JSON.stringify(answer)).to.include(world.nodes[0].name),
    command: () => ["nodes", "list", "--json"],
    prints: (_cvm, { world }) => world.nodes[0].name,
  },
  { name: "listWorkspaces", expect: (answer) => expect(answer.data).to.have.length(1) },
  {
    name: "getWorkspace",
    parameters: () => "local",
    expect: (answer) => expect(answer).to.include({ slug: "local" }),
  },
  {
    name: "getWorkspaceQuotas",
    parameters: () => ({ teamSlug: "local" }),
    expect: (answer) => expect(answer.quotas.vm_slots.limit).to.be.above(answer.quotas.vm_slots.remaining),
  },
  {
    name: "getKmsList",
    parameters: () => ({ is_onchain: true }),
    expect: (answer) => expect(JSON.stringify(answer.items)).to.include("kms-base-1"),
    command: () => ["kms", "list", "--json"],
    prints: () => "kms-base-1",
  },
  {
    name: "getKmsInfo",
    parameters: () => ({ kms_id: "kms-base-1" }),
    expect: (answer) => expect(answer).to.include({ slug: "kms-base-1", chain_id: 8453 }),
  },
  {
    name: "listKmsContracts",
    expect: (answer, _cvm, { world }) =>
      expect(JSON.stringify(answer.items).toLowerCase()).to.include(world.contracts.kms.toLowerCase()),
  },
  {
    name: "getKmsOnChainDetail",
    parameters: () => ({ chain: "base" }),
    expect: (answer, _cvm, { world }) => {
      const [contract] = answer.contracts;
      expect(contract.contract_address.toLowerCase()).to.equal(world.contracts.kms.toLowerCase());
      expect(contract.devices).to.have.length(world.nodes.length);
      for (const image of contract.os_images) expect(image).to.include({ on_chain_allowed: true });
    },
    command: () => ["kms", "base", "--json"],
    prints: (_cvm, { world }) => new RegExp(world.contracts.kms, "i"),
  },
  {
    name: "nextAppIds",
    parameters: () => ({ counts: 2 }),
    expect: (answer) => expect(answer.app_ids[0]).to.include.keys("app_id", "nonce"),
  },
  {
    name: "getAppEnvEncryptPubKey",
    parameters: ({ appId }) => ({ kms: "kms-base-1", app_id: withoutPrefix(appId) }),
    expect: (answer) => expect(answer.public_key).to.match(/^[0-9a-f]{64}$/),
  },
  {
    name: "listAllInstanceTypeFamilies",
    expect: (answer) => expect(JSON.stringify(answer.result)).to.include("tdx.small"),
    command: () => ["instance-types", "--json"],
    prints: () => "tdx.small",
  },
  {
    name: "listFamilyInstanceTypes",
    parameters: () => ({ family: "cpu" }),
    expect: (answer) => expect(JSON.stringify(answer.items)).to.include("tdx.small"),
    command: () => ["instance-types", "cpu", "--json"],
    prints: () => "tdx.small",
  },
  {
    name: "getOsImages",
    expect: (answer, _cvm, { world }) => expect(JSON.stringify(answer.items)).to.include(world.osImages[1].name),
    command: () => ["os-images", "--json"],
    prints: (_cvm, { world }) => world.osImages[1].name,
  },
  {
    name: "getCvmCreateResources",
    expect: (answer, _cvm, { world }) => expect(answer.nodes).to.have.length(world.nodes.length),
  },
  {
    name: "listSshKeys",
    expect: (keys) => expect(keys).to.be.an("array"),
    command: () => ["ssh-keys", "list", "--json"],
    prints: () => /"success": true/,
  },
];

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9hWkz0pYhxkZQp3bHqQ1o7oJ0n2mEo1Z5v8f7j3c2k test";

export const readingGroups: readonly OperationGroup[] = [
  {
    title: "Reading a CVM",
    operations: [
      ...ofCvm.map(toOperation),
      {
        name: "watchCvmState, server-sent events",
        sdk: async ({ sdk, lane }) => {
          const { id } = await lane.createCvm("off-chain");
          const { cloud, cloudClient } = lane.world;
          await cloudClient.request({ method: "POST", path: `/cvms/${id}/stop` });
          await cloud.whenIdle();
          const start = async () => {
            // Usually the client watches by then; if not, it finds the state that it waits for.
            await wait(200);
            await cloudClient.request({ method: "POST", path: `/cvms/${id}/start` });
          };
          const request = { id, target: "running", interval: 5, timeout: 10, maxRetries: 1 };
          const [watched] = await Promise.allSettled([sdk.call("watchCvmState", request), start()]);
          if (watched.status === "rejected") throw watched.reason;
          expect(watched.value).to.include({ status: "running" });
        },
      },
      {
        name: "getCvmPreLaunchScript",
        sdk: async ({ sdk, lane }) => {
          const { id } = await lane.createCvm("off-chain");
          const pre_launch_script = "#!/bin/sh\necho ready\n";
          await sdk.call("updatePreLaunchScript", { id, pre_launch_script });
          await lane.world.cloud.whenIdle();
          expect(await sdk.call("getCvmPreLaunchScript", { id })).to.equal(pre_launch_script);
        },
      },
      {
        name: "encrypt with the client's own function, decrypted by the guest",
        sdk: async ({ sdk, lane }) => {
          const cvm = await lane.createCvm("on-chain");
          const kms = { kms: "kms-base-1", app_id: withoutPrefix(cvm.appId) };
          const { public_key } = Object(await sdk.call("getAppEnvEncryptPubKey", kms));
          const environment = [{ key: "MODE", value: "grün ☕" }];
          const encrypted_env = await sdk.callHelper("encryptEnvVars", environment, public_key);
          await sdk.call("updateCvmEnvs", { id: cvm.id, encrypted_env });
          await lane.world.cloud.whenIdle();
          expect(lane.world.cloud.readEnvironment(cvm.id)).to.deep.equal(environment);
          expect(environment).not.to.deep.equal(firstEnvironment);
        },
      },
    ],
  },
  {
    title: "Reading an app",
    operations: [
      ...ofApp.map(toOperation),
      {
        name: "getAppRevisionDetail",
        sdk: async ({ sdk, lane }) => {
          const cvm = await lane.standingCvm("on-chain");
          const { revisions } = Object(await sdk.call("getAppRevisions", byApp(cvm)));
          const wanted = { ...byApp(cvm), revisionId: revisions[0].revision_id };
          const detail = await sdk.call("getAppRevisionDetail", wanted);
          expect(detail).to.include({ compose_hash: withoutPrefix(cvm.composeHash) });
          expect(JSON.stringify(Object(detail).compose_file)).to.include("nginx:1.27");
        },
      },
    ],
  },
  {
    title: "Reading the platform",
    operations: [
      ...ofPlatform.map(toOperation),
      {
        name: "createSshKey, listSshKeys, deleteSshKey",
        sdk: async ({ sdk }) => {
          const created = Object(await sdk.call("createSshKey", { name: "laptop", public_key: sshKey }));
          expect(JSON.stringify(await sdk.call("listSshKeys"))).to.include(created.id);
          await sdk.call("deleteSshKey", { keyId: created.id });
          expect(JSON.stringify(await sdk.call("listSshKeys"))).not.to.include(created.id);
        },
      },
    ],
  },
];

function toOperation(reading: Reading): Operation {
  const { name, method = name, parameters, expect: judge, command, prints, ofNewCvm } = reading;
  const cvmIn = (lane: Lane) => (ofNewCvm ? lane.createCvm("on-chain") : lane.standingCvm("on-chain"));
  return {
    name,
    ...(judge && {
      sdk: async ({ sdk, lane }) => {
        const cvm = await cvmIn(lane);
        judge(await sdk.call(method, parameters?.(cvm, lane)), cvm, lane);
      },
    }),
    ...(command && {
      cli: async ({ cli, lane }) => {
        const cvm = await cvmIn(lane);
        const { text } = await cli.succeed(command(cvm));
        const wanted = prints?.(cvm, lane) ?? cvm.name;
        if (typeof wanted === "string") expect(text).to.include(wanted);
        else expect(text).to.match(wanted);
      },
    }),
  };
}
