import type { Tally, TallyMessage } from "./tally.ts";

/** Sends the tally to scripts/test.ts and disconnects, because an open connection would keep this process alive. */
export function sendTally(tally: Tally): void {
  const message: TallyMessage = { kind: "tally", tally };
  if (tally.failed > 0 || tally.problems.length > 0) process.exitCode = 1;
  process.send?.(message, () => process.disconnect());
}
