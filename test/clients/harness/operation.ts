import type { StartWorldParameters } from "../../../src/world/start-world.ts";
import type { Cli } from "./cli.ts";
import type { Lane } from "./lane.ts";
import type { Sdk } from "./sdk.ts";

/** One row of the table: an operation, and the calls of the clients for it. */
export interface Operation {
  /** Unique; also the row's title. */
  readonly name: string;
  /** Runs in a world of its own with these parameters. @default the world of the lane */
  readonly world?: StartWorldParameters;
  /** The call of an SDK. Absent when only the CLI has one. */
  readonly sdk?: (context: { readonly sdk: Sdk; readonly lane: Lane }) => Promise<void>;
  /** The command of the CLI. Absent when it has none. */
  readonly cli?: (context: { readonly cli: Cli; readonly lane: Lane }) => Promise<void>;
}

export interface OperationGroup {
  readonly title: string;
  readonly operations: readonly Operation[];
}
