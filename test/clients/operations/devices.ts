import { expect } from "chai";
import { withoutPrefix } from "../../../src/core/ids.ts";
import { expectNewestEvent, readDevices } from "../harness/checks.ts";
import type { Lane, TestCvm } from "../harness/lane.ts";
import type { Operation, OperationGroup } from "../harness/operation.ts";

export const deviceGroup: OperationGroup = {
  title: "Devices",
  operations: [
    {
      name: "allow-devices list",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.standingCvm("on-chain");
        const list = async () =>
          (await cli.succeed(["allow-devices", "list", cvm.id, "--json"], { env: signing(lane) })).json();
        const device = { deviceId: cvm.deviceId, nodeName: lane.world.nodes[0].name };
        expect(await list()).to.deep.include({ allowAnyDevice: false, devices: [device] });
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.standingCvm("on-chain");
        const answer = Object(await sdk.call("getAppDeviceAllowlist", { appId: withoutPrefix(cvm.appId) }));
        expect(answer).to.include({ is_onchain_kms: true, allow_any_device: false, chain_id: 8453 });
        const device = answer.devices.find(({ device_id }: { device_id: string }) => cvm.deviceId.endsWith(device_id));
        expect(device).to.include({ allowed_onchain: true });
      },
    },
    {
      name: "device allowlist of an off-chain app",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.standingCvm("off-chain");
        const { text } = await cli.fail(["allow-devices", "list", cvm.id], { env: signing(lane) });
        expect(text).to.match(/on-?chain KMS/i);
      },
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.standingCvm("off-chain");
        const answer = await sdk.call("getAppDeviceAllowlist", { appId: withoutPrefix(cvm.appId) });
        expect(answer).to.include({ is_onchain_kms: false });
      },
    },
    {
      name: "cvms device-allowlist",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.standingCvm("on-chain");
        await lane.disallowDevice(cvm, lane.world.nodes[1].deviceId);
        const { devices } = (await cli.succeed(["cvms", "device-allowlist", cvm.id, "--json"])).json();
        const known = (devices as readonly Record<string, unknown>[]).map(({ device_id, status }) => [
          device_id,
          status,
        ]);
        expect(known).to.deep.equal([
          [withoutPrefix(cvm.deviceId), "allowed"],
          [withoutPrefix(lane.world.nodes[1].deviceId), "not_allowed"],
        ]);
      },
    },
    byName("allow-devices add, by device id", (_lane, device) => device),
    byName("allow-devices add, by node name", (lane) => lane.world.nodes[1].name),
    {
      name: "allow-devices remove",
      cli: async ({ cli, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        await cli.succeed(["allow-devices", "remove", cvm.id, cvm.deviceId, "--wait"], { env: signing(lane) });
        expect((await readDevices(lane, cvm, cvm.deviceId)).deviceListed).to.equal(false);
        await expectNewestEvent(lane, cvm, "DeviceRemoved", cvm.deviceId);
      },
    },
    flag("allow-devices allow-any --enable", ["allow-any", "--enable"], { before: false, after: true }),
    flag("allow-devices allow-any --disable", ["allow-any", "--disable"], { before: true, after: false }),
    flag("allow-devices disallow-any", ["disallow-any"], { before: true, after: false }),
    flag("allow-devices toggle-allow-any", ["toggle-allow-any"], { before: false, after: true }),
    {
      name: "checkCvmIsAllowed",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const check = async () => await sdk.call("checkCvmIsAllowed", isAllowedRequest(cvm));
        const allowed = { is_allowed: true, compose_hash_allowed: true, device_id_allowed: true };
        expect(await check()).to.include({ ...allowed, compose_hash: withoutPrefix(cvm.composeHash) });
        await lane.withdrawHash(cvm, cvm.composeHash);
        expect(await check()).to.include({ is_allowed: false, compose_hash_allowed: false });
      },
    },
    {
      name: "checkAppIsAllowed",
      sdk: async ({ sdk, lane }) => {
        const { appId, composeHash, deviceId } = await lane.standingCvm("on-chain");
        const request = { compose_hash: withoutPrefix(composeHash), device_id: withoutPrefix(deviceId) };
        const answer = await sdk.call("checkAppIsAllowed", { appId: withoutPrefix(appId), ...request });
        expect(answer).to.include({ is_allowed: true });
      },
    },
    {
      name: "checkAppCvmsIsAllowed",
      sdk: async ({ sdk, lane }) => {
        const { appId } = await lane.standingCvm("on-chain");
        const answer = await sdk.call("checkAppCvmsIsAllowed", { appId: withoutPrefix(appId) });
        expect(answer).to.include({ is_onchain: true, total: 1, allowed_count: 1, denied_count: 0 });
      },
    },
  ],
};

function byName(name: string, word: (lane: Lane, device: string) => string): Operation {
  return {
    name,
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { deviceId } = lane.world.nodes[1];
      await lane.disallowDevice(cvm, deviceId);
      await cli.succeed(["allow-devices", "add", cvm.id, word(lane, deviceId)], { env: signing(lane) });
      expect((await readDevices(lane, cvm, deviceId)).deviceListed).to.equal(true);
      await expectNewestEvent(lane, cvm, "DeviceAdded", deviceId);
    },
  };
}

function flag(name: string, words: readonly string[], state: { before: boolean; after: boolean }): Operation {
  return {
    name,
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      await lane.allowAnyDevice(cvm, state.before);
      const [command = "", ...options] = words;
      await cli.succeed(["allow-devices", command, cvm.id, ...options], { env: signing(lane) });
      expect((await readDevices(lane, cvm, cvm.deviceId)).allowAnyDevice).to.equal(state.after);
      await expectNewestEvent(lane, cvm, "AllowAnyDeviceSet", state.after);
    },
  };
}

function isAllowedRequest({ id }: TestCvm) {
  return { cvmId: id, cvm_id: id };
}

/** These commands read key and RPC address from the environment. */
export function signing({ ownerKey, world }: Lane) {
  return { PRIVATE_KEY: ownerKey, ETH_RPC_URL: world.chain.rpcUrl };
}
