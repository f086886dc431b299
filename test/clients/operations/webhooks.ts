import { expect } from "chai";
import { type ReceivedWebhook, startWebhookReceiver } from "../../support/mock-cloud/webhook-receiver.ts";
import type { Lane } from "../harness/lane.ts";
import type { Operation, OperationGroup } from "../harness/operation.ts";
import type { Sdk } from "../harness/sdk.ts";

interface Delivered extends ReceivedWebhook {
  readonly secret: string;
}

/** The arguments of a verifier, with the JavaScript SDK's names. */
interface SignedBody {
  readonly secret: string;
  readonly timestamp: string;
  readonly body: string;
  readonly signature: string;
  readonly toleranceSeconds?: number;
}

/** The verifiers that the clients offer to receivers of webhooks, with real deliveries of the mock cloud. */
export const webhookGroup: OperationGroup = {
  title: "Webhooks",
  operations: [
    {
      name: "parseWebhookEvent: an event as it is delivered",
      sdk: async ({ sdk, lane }) => {
        const { headers, body, secret, cvm } = await receiveRestart(lane);
        const event = Object(await sdk.callWebhook("parseWebhookEvent", { headers: named(headers), body, secret }));
        expect(event).to.include({ id: headers["x-webhook-id"], event: "cvm.restarted", version: "1" });
        expect(event.workspace).to.include({ name: "local" });
        expect(event.data).to.include({ cvm_name: cvm.name, status: "running" });
      },
    },
    {
      name: "verifyWebhookSignature: the signature of a delivery",
      sdk: async ({ sdk, lane }) => {
        const { cvm: _, ...delivered } = await receiveRestart(lane);
        expect(await verify(sdk, signedBody(delivered))).to.equal(true);
      },
    },
    refused("of another secret", (signed) => ({ ...signed, secret: "whsec_another" })),
    refused("over another body", (signed) => ({ ...signed, body: signed.body.replace("running", "stopped") })),
    refused("that was made for another time", (signed) => ({
      ...signed,
      timestamp: String(Number(signed.timestamp) - 1),
    })),
    {
      name: "parseWebhookEvent: refuses an event that was changed",
      sdk: async ({ sdk, lane }) => {
        const { headers, body, secret } = await receiveRestart(lane);
        const changed = { headers: named(headers), body: body.replace("running", "stopped"), secret };
        const answer = await sdk.callWebhook("parseWebhookEvent", changed).then(
          () => "taken",
          (error: Error) => error,
        );
        if (answer instanceof Error && !/signature/i.test(answer.message)) throw answer;
        expect(answer).to.be.instanceOf(Error);
      },
    },
  ],
};

function refused(what: string, forge: (signed: SignedBody) => SignedBody): Operation {
  return {
    name: `verifyWebhookSignature: refuses a signature ${what}`,
    sdk: async ({ sdk, lane }) => {
      const { cvm: _, ...delivered } = await receiveRestart(lane);
      expect(await verify(sdk, forge(signedBody(delivered)))).to.equal(false);
    },
  };
}

function verify(sdk: Sdk, signed: SignedBody): Promise<unknown> {
  return sdk.callWebhook("verifyWebhookSignature", signed);
}

function signedBody({ headers, body, secret }: Delivered): SignedBody {
  const { "x-webhook-timestamp": timestamp, "x-webhook-signature": signature } = named(headers);
  if (timestamp === undefined || signature === undefined) throw new Error("The delivery is not signed.");
  return { secret, timestamp, body, signature };
}

/** The headers as a framework passes them to its handler, each once. */
function named(headers: ReceivedWebhook["headers"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])),
  );
}

/** Restarts a CVM with a webhook on it and returns what arrived there. */
async function receiveRestart(lane: Lane) {
  const { apiKey, cloud, cloudClient } = lane.world;
  const cvm = await lane.createCvm("off-chain");
  const receiver = await startWebhookReceiver();
  try {
    const json = { url: receiver.url, events: ["cvm.restarted"] };
    const { text } = await cloudClient.request({ method: "POST", path: "/workspace/webhooks", json });
    const { id, secret }: { id: string; secret: string } = JSON.parse(text);
    await cloudClient.request({ method: "POST", path: `/cvms/${cvm.id}/restart`, json: {} });
    await cloud.whenIdle();
    await cloud.whenDelivered();
    await fetch(`${cloud.baseUrl}/workspace/webhooks/${id}`, { method: "DELETE", headers: { "X-API-Key": apiKey } });
    const [delivered, ...more] = receiver.received;
    if (!delivered || more.length > 0) throw new Error(`Expected one delivery, got ${receiver.received.length}.`);
    return { ...delivered, secret, cvm };
  } finally {
    await receiver.close();
  }
}
