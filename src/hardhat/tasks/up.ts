import "../type-extensions.ts";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { createCloudPrinter } from "../../report/cloud-printer.ts";
import { createPaper } from "../../report/output.ts";
import { exitCodeOf } from "../exit-code-of.ts";
import { describeWorld, toShell } from "../up/describe-world.ts";
import { openWorld } from "../up/open-world.ts";
import { parseUpArguments, type UpArguments } from "../up/parse-arguments.ts";

export interface UpContext {
  /** Takes the description of the world and nothing else. */
  readonly stdout: NodeJS.WritableStream;
  /** Takes what happens in it, for people. */
  readonly stderr: NodeJS.WritableStream;
  readonly readOwnerKey: () => Promise<string>;
  /** Ends the world. */
  readonly signal: AbortSignal;
}

const action: NewTaskActionFunction<UpArguments> = (args, { config }) =>
  exitCodeOf(
    async (signal) => {
      const { stdout, stderr } = process;
      await up(args, { stdout, stderr, readOwnerKey: () => config.dstack.ownerKey.get(), signal });
      return 0;
    },
    { whenStopped: 0 },
  );
export default action;

/** Starts a world, tells how to use it, and keeps it until the signal. */
export async function up(args: UpArguments, { stdout, stderr, readOwnerKey, signal }: UpContext): Promise<void> {
  const settings = parseUpArguments(args);
  const paper = createPaper(stderr);
  const tell = createCloudPrinter(paper, { requests: true });
  const adminKey = settings.hasAdmin ? `admin_${randomBytes(24).toString("hex")}` : undefined;
  if (!settings.isJson) paper.line("Starting chain, contracts and cloud…");
  let isUp = false;
  const world = await openWorld({
    settings,
    readOwnerKey,
    adminKey,
    signal,
    // What the world does to set itself up is nobody's concern.
    onCloudEvent: (event) => (isUp && !settings.isJson ? tell(event) : undefined),
  });
  try {
    isUp = true;
    const description = describeWorld(world, adminKey);
    stdout.write(settings.isJson ? `${JSON.stringify(description)}\n` : toShell(description));
    if (!settings.isJson) paper.line("\nThe world is up. Paste the lines above into another shell; Ctrl-C ends it.");
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    await world.close();
  }
}
