import { expect } from "chai";
import { getTransactionReceipt } from "viem/actions";
import { readAllowlist, readOwnership } from "../../../src/chain/read-app.ts";
import { deployedApp } from "../../../src/core/events.ts";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../src/core/ids.ts";
import { expectEvent, expectRegistered, isHashAllowed, readDevices } from "../harness/checks.ts";
import { ClientError } from "../harness/client-errors.ts";
import type { Lane } from "../harness/lane.ts";
import { expectNothingChanged } from "../harness/movement.ts";
import type { OperationGroup } from "../harness/operation.ts";

const newHash = `0x${"5e".repeat(32)}`;

/** The SDKs' own functions for the chain, without the cloud. */
export const chainGroup: OperationGroup = {
  title: "On chain, by the clients' own functions",
  operations: [
    {
      name: "deployAppAuth",
      sdk: async ({ sdk, lane }) => {
        const { kms } = lane.world.contracts;
        const { deviceId } = lane.world.nodes[0];
        const wanted = { kmsContractAddress: kms, deviceId, composeHash: newHash };
        const answer = Object(await sdk.callChain("deployAppAuth", { ...signing(lane), ...wanted }));
        const hash = parseTransactionHash(answer.transactionHash);
        const appId = deployedApp(await getTransactionReceipt(lane.world.ownerClient, { hash }), { kms });
        expect(parseAppId(answer.appId)).to.equal(appId);
        const composeHash = parseComposeHash(newHash);
        const allowlist = await readAllowlist(lane.world.ownerClient, { appId, composeHash, deviceId });
        expect(allowlist).to.include({ composeHashAllowed: true, deviceListed: true, allowAnyDevice: false });
        const { owner } = await readOwnership(lane.world.ownerClient, { appId });
        expect(owner).to.equal(lane.world.owner.address);
      },
    },
    {
      name: "addComposeHash",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const wanted = { ...signing(lane), appId: cvm.appId, composeHash: newHash };
        const { transactionHash } = Object(await sdk.callChain("addComposeHash", wanted));
        await expectRegistered(lane, cvm, { composeHash: newHash, transactionHash });
      },
    },
    {
      name: "addComposeHash, by an account that is not the owner",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const wanted = { ...signing(lane), privateKey: lane.strangerKey, appId: cvm.appId, composeHash: newHash };
        await expectNothingChanged(lane, async () => {
          const error = await sdk.callChain("addComposeHash", wanted).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          if (!(error instanceof ClientError)) throw error ?? new Error("Expected a refusal.");
          if (!/is not the owner/.test(error.message)) throw error;
        });
        expect(await isHashAllowed(lane, cvm, newHash)).to.equal(false);
      },
    },
    {
      name: "addDevice, removeDevice",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        const { deviceId } = lane.world.nodes[1];
        await lane.disallowDevice(cvm, deviceId);
        const wanted = { ...signing(lane), appAddress: cvm.appId, deviceId };
        const added = Object(await sdk.callChain("addDevice", wanted));
        await expectEvent(lane, cvm, added.transactionHash, "DeviceAdded", deviceId);
        expect(await readDevices(lane, cvm, deviceId)).to.include({ deviceListed: true });
        const removed = Object(await sdk.callChain("removeDevice", wanted));
        await expectEvent(lane, cvm, removed.transactionHash, "DeviceRemoved", deviceId);
        expect(await readDevices(lane, cvm, deviceId)).to.include({ deviceListed: false });
      },
    },
    {
      name: "setAllowAnyDevice",
      sdk: async ({ sdk, lane }) => {
        const cvm = await lane.createCvm("on-chain");
        for (const allow of [true, false]) {
          const wanted = { ...signing(lane), appAddress: cvm.appId, allow };
          const { transactionHash } = Object(await sdk.callChain("setAllowAnyDevice", wanted));
          await expectEvent(lane, cvm, transactionHash, "AllowAnyDeviceSet", allow);
          expect(await readDevices(lane, cvm, cvm.deviceId)).to.include({ allowAnyDevice: allow });
        }
      },
    },
    {
      name: "checkComposeHashAllowed, checkDeviceAllowed, checkOnChainPrerequisites",
      sdk: async ({ sdk, lane }) => {
        const { appId, composeHash, deviceId } = await lane.standingCvm("on-chain");
        const app = { rpcUrl: lane.world.chain.rpcUrl, appAddress: appId };
        expect(await sdk.callChain("checkComposeHashAllowed", { ...app, composeHash })).to.equal(true);
        expect(await sdk.callChain("checkComposeHashAllowed", { ...app, composeHash: newHash })).to.equal(false);
        expect(await sdk.callChain("checkDeviceAllowed", { ...app, deviceId })).to.equal(true);
        const both = await sdk.callChain("checkOnChainPrerequisites", { ...app, deviceId, composeHash: newHash });
        expect(both).to.deep.equal({ allowAnyDevice: false, deviceAllowed: true, composeHashAllowed: false });
      },
    },
    {
      name: "getAllowedDevices",
      sdk: async ({ sdk, lane }) => {
        const { appId, deviceId } = await lane.standingCvm("on-chain");
        const deviceIds = [deviceId, `0x${"77".repeat(32)}`];
        const app = { rpcUrl: lane.world.chain.rpcUrl, appAddress: appId };
        const answer = await sdk.callChain("getAllowedDevices", { ...app, deviceIds });
        expect(answer).to.deep.include({ allowAnyDevice: false, devices: [deviceId], owner: lane.world.owner.address });
      },
    },
  ],
};

function signing({ ownerKey, world }: Lane) {
  return { rpcUrl: world.chain.rpcUrl, privateKey: ownerKey };
}
