/** The counts of a runner. A problem is a failure that no count shows, as a sentence without a full stop. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped?: number;
  readonly problem?: string | undefined;
}

/** Sends the counts to scripts/test.ts, and ends this process even if a test left a handle open. */
export function sendTally(tally: Tally): void {
  if (failuresOf(tally) > 0) process.exitCode = 1;
  process.send?.(tally, () => process.disconnect());
  setTimeout(() => {
    console.error("Still running 20 s after the last test: a test left a handle open.");
    process.exit(1);
  }, 20_000).unref();
}

export function failuresOf({ failed, problem }: Tally): number {
  return failed + (problem === undefined ? 0 : 1);
}

/** Compares a runner's counts with its exit. It is a failure if no test ran or, on CI, if a test was skipped. */
export function judge(tally: Tally | undefined, { ending, ci }: { ending: string; ci: boolean }): Tally {
  if (tally === undefined) return { passed: 0, failed: 0, problem: `${ending} before it counted its tests` };
  const { passed, failed, skipped = 0, problem } = tally;
  if (problem !== undefined) return tally;
  if (passed + failed === 0) return { ...tally, problem: "ran no test" };
  if (ci && skipped > 0) return { ...tally, problem: `skipped ${skipped} tests, which CI does not accept` };
  if (failed === 0 && ending !== "exited with code 0")
    return { ...tally, problem: `${ending} although no test failed` };
  return tally;
}

/** Both Solidity runners read the same files. This reports a test that only one of them finds. */
export function compareRunners(hardhat: Tally, forge: Tally): string | undefined {
  const [inHardhat, inForge] = [hardhat, forge].map(({ passed, failed, skipped = 0 }) => passed + failed + skipped);
  if (inHardhat === inForge || failuresOf(hardhat) + failuresOf(forge) > 0) return undefined;
  return `Hardhat ran ${inHardhat} Solidity tests, but forge ran ${inForge}`;
}
