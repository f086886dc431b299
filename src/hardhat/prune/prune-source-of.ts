import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { proveAllowlist } from "../../history/prove-allowlist.ts";
import type { PruneSource } from "../../prune/read-prune-facts.ts";
import { createProgress } from "../../report/output.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { resolveKms } from "../connect/resolve-kms.ts";
import type { TaskIo } from "../connect/run-task.ts";
import { readAppHistory } from "../history/read-app-history.ts";
import type { PruneSettings } from "./parse-arguments.ts";

/** Where a prune of this app reads: its chain through the project's history store, and the cloud if there is a key. */
export function pruneSourceOf(
  io: Pick<TaskIo, "stderr" | "signal">,
  hre: HardhatRuntimeEnvironment,
  {
    app,
    settings,
    acceptKeyEpochs,
  }: {
    readonly app: ConnectedApp;
    readonly settings: Pick<PruneSettings, "isProofWanted" | "history">;
    readonly acceptKeyEpochs: boolean;
  },
): PruneSource {
  const { client, cloud } = app;
  const { signal, stderr } = io;
  const progress = createProgress("Asking the cloud", stderr);
  return {
    chain: client,
    cloud,
    kms: resolveKms({}, app),
    acceptKeyEpochs,
    signal,
    readHistory: () => readAppHistory(io, hre, app, settings.history),
    ...(settings.isProofWanted && {
      prove: async (history) => {
        const { claims } = await proveAllowlist(client, { history, signal });
        return Object.values(claims).find((claim) => !claim.isProven)?.message;
      },
    }),
    onProgress: (done, total) => {
      progress.update(done, total);
      if (done === total) progress.stop();
    },
  };
}
