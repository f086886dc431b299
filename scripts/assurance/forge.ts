import { fetchPinned } from "../npm.mjs";
import { root } from "../support/paths.ts";
import { type Outcome, runCommand } from "../support/run-command.ts";

/** The contracts that are deployed. Mocks and helpers of tests are not judged. */
export function isDeployed(path: string): boolean {
  return path.startsWith("contracts/") && !/^contracts\/(?:mocks|testing)\//.test(path);
}

/** @throws Error if npm has no forge for this platform */
export function findForge(): string {
  const forge = fetchPinned("forge");
  if (forge === undefined) throw new Error("npm could not fetch the pinned forge for this platform.");
  return forge;
}

/** Hours are allowed, because a campaign may be that long. */
export function runForge(args: readonly string[], settings: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const env = { ...process.env, NO_COLOR: "1", ...settings };
  return runCommand({ command: findForge(), args, cwd: root, env, output: "keep", timeout: 12 * 3_600_000 });
}
