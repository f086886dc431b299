import { expect } from "chai";
import { type CloudClient, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { getNodes } from "../../../../src/cloud/get-nodes.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { sendJson, startServer } from "../../../support/update/http-server.ts";

/** Clears the screen and begins a line that looks like one of a prune plan. */
const steering = "shop\u001b[2J\nremove 0x00 nothing needs it";
const clean = "shop [2J remove 0x00 nothing needs it";

async function answering<Result>(body: unknown, ask: (client: CloudClient) => Promise<Result>): Promise<Result> {
  const server = await startServer((response) => void sendJson(response, 200, body));
  try {
    return await ask(createCloudClient({ apiKey: "phak_any", baseUrl: server.url }));
  } finally {
    await server.close();
  }
}

describe("names the cloud gives", () => {
  it("of CVMs and nodes become one line of printable text", async () => {
    const appId = parseAppId("a0".repeat(20));
    const cvm = { id: "cvm_00000001", name: steering, status: steering, resource: {}, gateway: {} };
    const [read] = await answering([cvm], (client) => getAppCvms(client, { appId }));
    expect([read?.name, read?.status]).to.deep.equal([clean, clean]);
    const room = { listed: true, resource_score: 1, remaining_vcpu: 1, remaining_memory: 1, remaining_cvm_slots: 1 };
    const machine = { teepod_id: 1, name: steering, images: [], kms_list: [], ...room };
    const [node] = await answering({ tier: "", capacity: {}, nodes: [machine], kms_list: [] }, getNodes);
    expect(node?.name).to.equal(clean);
  });
});
