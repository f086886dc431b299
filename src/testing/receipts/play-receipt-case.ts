import { chainCases } from "./chain-cases.ts";
import { forgeryCases } from "./forgery-cases.ts";
import type { PlayedMoment, ReceiptCase, ReceiptMoment, ReceiptVerdicts } from "./receipt-case.ts";
import { routeCases } from "./route-cases.ts";
import { stateCases } from "./state-cases.ts";
import { type ReceiptRequest, type ReceiptWorld, setAutomine, snapshot } from "./world.ts";

/** Every receipt that lies, or only looks as if it did, with the right verdicts about it. */
export const receiptCases: readonly ReceiptCase[] = [...routeCases, ...forgeryCases, ...stateCases, ...chainCases];

/**
 * Plays a case on the world's chain, and takes the chain back to where it was. `judge` is called at each moment of the
 * case, and compares its own verdict with the right one.
 *
 * @throws what `judge` throws
 *
 * @example
 * import { playReceiptCase, receiptCases, startReceiptWorld } from "dstack-toolkit/testing";
 * import { client } from "./app.js";
 * const world = await startReceiptWorld(client);
 * for (const receiptCase of receiptCases)
 *   await playReceiptCase(world, receiptCase, async ({ claim, verdicts }) => {
 *     console.log(receiptCase.id, claim.transactionHash, verdicts.backend);
 *   });
 */
export async function playReceiptCase(
  world: ReceiptWorld,
  { id, moments, play }: ReceiptCase,
  judge: (moment: ReceiptMoment) => Promise<void>,
): Promise<void> {
  const back = await snapshot(world);
  try {
    let index = 0;
    for await (const played of play(world)) {
      const verdicts = moments[index++];
      if (verdicts === undefined) break;
      await judge(toMoment(world, played, verdicts));
    }
    if (index !== moments.length) throw new TypeError(`Case ${id} has ${moments.length} moments, and played ${index}.`);
  } finally {
    await setAutomine(world, true);
    await back();
  }
}

function toMoment(world: ReceiptWorld, played: PlayedMoment, verdicts: ReceiptVerdicts): ReceiptMoment {
  const { app, client, composeHash, deviceId, kms, owner, provider } = world;
  const { answer, finality = "latest", owner: plannedOwner, ...claim } = played;
  const ownAnswer = answer?.();
  const request = async (call: ReceiptRequest) => {
    if (ownAnswer === undefined) return provider.request(call);
    return ownAnswer(call, (params = call.params) => provider.request({ method: call.method, params }));
  };
  return {
    claim: { chainId: client.chain.id, kms, appId: app, composeHash, deviceId, ...claim },
    owner: plannedOwner ?? { kind: "key", address: owner.address },
    finality,
    provider: { request },
    verdicts,
  };
}
