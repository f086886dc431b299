import type { Cli } from "./cli.ts";
import type { Lane } from "./lane.ts";
import type { Sdk } from "./sdk.ts";

/** One row of the table: what a user wants done, and how the clients are told to do it. */
export interface Operation {
  /** Unique; also the row's title. */
  readonly name: string;
  /** By an SDK. Absent where only the CLI has it. */
  readonly sdk?: (context: { readonly sdk: Sdk; readonly lane: Lane }) => Promise<void>;
  /** By a command of the CLI. Absent where it has none. */
  readonly cli?: (context: { readonly cli: Cli; readonly lane: Lane }) => Promise<void>;
}

export interface OperationGroup {
  readonly title: string;
  readonly operations: readonly Operation[];
}
