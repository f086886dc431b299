import type { ComposeHash } from "../core/ids.ts";
import { addComposeHashCall, removeComposeHashCall } from "../core/owner-calls.ts";
import { HashNeededError } from "../errors/index.ts";
import { parseAccept } from "./arguments.ts";
import { type AppArguments, type ConnectedApp, connectApp } from "./connect-app.ts";
import type { Command, CommandHost } from "./host.ts";
import { requireNotRevoked } from "./revocations.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { parseHashes } from "./values.ts";
import { type ChangeAppArguments, changeApp } from "./write.ts";

/**
 * Returns if no CVM runs one of the hashes or is moving to it, no prepared update waits for it, no pin keeps it, and
 * all of that is known. Objections that the user accepted by name do not count.
 *
 * @throws HashNeededError, CloudError, WrongChainError
 */
export async function requireHashesUnused(
  app: ConnectedApp,
  composeHashes: readonly ComposeHash[],
  accepted: ReadonlySet<string>,
): Promise<void> {
  if (composeHashes.length === 0) return;
  const { findHashObjections } = await import("../prune/removal-objections.ts"); // only removals need it
  const objections = await findHashObjections(app, composeHashes);
  const standing = objections.filter(({ acceptAs }) => !accepted.has(acceptAs));
  if (standing.length > 0) throw new HashNeededError(standing);
}

export interface HashAddArguments extends AppArguments, ChangeAppArguments, OutputArguments {
  readonly hashes: readonly string[];
  /** Hashes to remove with the same command, separated by commas. */
  readonly remove?: string | undefined;
}

export const hashAdd: Command<HashAddArguments> = (args, host) => runTask(args, (io) => add(io, args, host));

async function add(io: TaskIo, args: HashAddArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("hash add", args.accept);
  const added = parseHashes(args.hashes);
  const removed = args.remove === undefined ? [] : parseHashes(args.remove.split(","));
  const app = await connectApp(args, host);
  const { appId } = app;
  return changeApp(io, args, {
    app,
    calls: [
      ...added.map((composeHash) => addComposeHashCall({ appId, composeHash })),
      ...removed.map((composeHash) => removeComposeHashCall({ appId, composeHash })),
    ],
    accepted,
    guard: async () => {
      await requireNotRevoked(io, app, { hashes: added, accepted });
      await requireHashesUnused(app, removed, accepted);
      if (removed.length > 0) await showWhatRemovalMeans(io);
    },
  });
}

export interface HashRemoveArguments extends AppArguments, ChangeAppArguments, OutputArguments {
  readonly hashes: readonly string[];
}

export const hashRemove: Command<HashRemoveArguments> = (args, host) => runTask(args, (io) => remove(io, args, host));

async function remove(io: TaskIo, args: HashRemoveArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("hash remove", args.accept);
  const composeHashes = parseHashes(args.hashes);
  const app = await connectApp(args, host);
  return changeApp(io, args, {
    app,
    calls: composeHashes.map((composeHash) => removeComposeHashCall({ appId: app.appId, composeHash })),
    accepted,
    guard: async () => {
      await requireHashesUnused(app, composeHashes, accepted);
      await showWhatRemovalMeans(io);
    },
  });
}

async function showWhatRemovalMeans({ output }: TaskIo): Promise<void> {
  const prune = await import("../output/prune.ts");
  prune.showWhatRemovalMeans(output);
}
