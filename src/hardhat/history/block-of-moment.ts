import type { ChainClient } from "../../chain/client.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { findBlockAt, readBlock } from "../../history/blocks.ts";
import type { History, PinnedBlock } from "../../history/history.ts";
import { formatTime } from "../../report/format.ts";
import type { Moment } from "./parse-block.ts";

/** A day means its end, and the day that goes on now is asked for more than any other. */
const secondsPerDay = 86_400n;
const patience = { retryDelayMs: 250 };

/** The block of a history that was the newest at some moment. @throws InvalidArgumentError, RpcUnavailableError */
export async function blockOfMoment(
  client: ChainClient,
  { createdInBlock, pinned }: Pick<History, "createdInBlock" | "pinned">,
  moment: Moment,
): Promise<PinnedBlock> {
  const refuse = (problem: string) =>
    new InvalidArgumentError(problem, {
      nextStep: `Name a moment between block ${createdInBlock} and ${pinned.number}, of ${formatTime(pinned.timestamp)} UTC.`,
      context: { createdInBlock, newestBlock: pinned.number },
    });
  if ("timestamp" in moment && moment.timestamp >= pinned.timestamp + secondsPerDay)
    throw refuse("What will be allowed then is not known yet.");
  if ("blockNumber" in moment && moment.blockNumber > pinned.number)
    throw refuse(`The chain has no block ${moment.blockNumber} yet.`);
  const block = await findBlock(client, pinned, moment);
  if (block === undefined || block.number < createdInBlock) throw refuse("The app did not exist at that time.");
  return block;
}

/** The history ends with its pinned block, although the chain goes on while it is read. */
function findBlock(client: ChainClient, pinned: PinnedBlock, moment: Moment): Promise<PinnedBlock | undefined> {
  if ("blockNumber" in moment) return readBlock(client, moment.blockNumber, patience);
  return moment.timestamp >= pinned.timestamp ? Promise.resolve(pinned) : findBlockAt(client, moment);
}
