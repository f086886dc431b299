import { createHash } from "node:crypto";

/**
 * The scripts that this cloud gives to CVMs whose request names none, oldest first. The real cloud adds a script of its
 * own there too. These are ours: no client may compare them with the real ones.
 */
export const officialScripts: readonly [string, ...string[]] = [
  `#!/bin/sh
# dstack-toolkit mock cloud, pre-launch script 1: stands in for the script that the real cloud adds.
echo "pre-launch script 1 of the dstack-toolkit mock cloud"
`,
  `#!/bin/sh
# dstack-toolkit mock cloud, pre-launch script 2: stands in for the script that the real cloud adds.
set -e
echo "pre-launch script 2 of the dstack-toolkit mock cloud"
`,
];

export const latestOfficialScript = officialScripts.at(-1) ?? officialScripts[0];

export interface ScriptUpgradeStatus {
  /** SHA-256 of the CVM's script. Null if it has none. */
  readonly currentHash: string | null;
  readonly latestOfficialHash: string;
  readonly isOfficial: boolean;
  readonly isLatest: boolean;
}

export function judgeScript(script: string | null | undefined): ScriptUpgradeStatus {
  return {
    currentHash: script ? sha256(script) : null,
    latestOfficialHash: sha256(latestOfficialScript),
    isOfficial: script !== null && script !== undefined && officialScripts.includes(script),
    isLatest: script === latestOfficialScript,
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
