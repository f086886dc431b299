import type * as sqlite from "node:sqlite";

export type DatabaseSync = sqlite.DatabaseSync;

/** Node's own SQLite. Node 22 prints a warning when the module is first loaded; this suppresses only that warning. */
export const { DatabaseSync } = loadWithoutWarning();

function loadWithoutWarning() {
  const { emitWarning } = process;
  process.emitWarning = (warning, ...rest: unknown[]) => {
    if (!String(warning).startsWith("SQLite is an experimental feature"))
      Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
  try {
    return process.getBuiltinModule("node:sqlite");
  } finally {
    process.emitWarning = emitWarning;
  }
}
