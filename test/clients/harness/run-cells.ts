import type { StartWorldParameters } from "../../../src/world/start-world.ts";
import { cliOf } from "./cli.ts";
import { findClientBug } from "./client-bugs.ts";
import { MethodMissingError } from "./client-errors.ts";
import type { ClientName, InstalledClient } from "./clients.ts";
import { type Driver, startDriver } from "./driver.ts";
import { type Lane, startLane } from "./lane.ts";
import type { Operation } from "./operation.ts";
import type { Cell } from "./outcome.ts";
import { sdkOf } from "./sdk.ts";

export interface RunCellsParameters {
  readonly operations: readonly Operation[];
  readonly installed: ReadonlyMap<ClientName, InstalledClient>;
  /** How many cells run at once, each lane in a world of its own. */
  readonly lanes: number;
  readonly onCell: (cell: Cell) => void;
}

interface Task {
  readonly operation: Operation;
  readonly name: ClientName;
  readonly client: InstalledClient;
}

const timeoutMs = 120_000;

/** Runs every operation with every client. Commands of the CLI first: they take longest. */
export async function runCells({ operations, installed, lanes, onCell }: RunCellsParameters): Promise<Cell[]> {
  const tasks: Task[] = [...installed].flatMap(([name, client]) =>
    operations.map((operation) => ({ operation, name, client })),
  );
  tasks.sort((a, b) => Number(isCommand(b)) - Number(isCommand(a)));
  const cells: Cell[] = [];
  await Promise.all(Array.from({ length: Math.min(lanes, tasks.length) }, runLane));
  return cells;

  function runLane(): Promise<void> {
    return inWorld({}, async (run) => {
      for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
        const world = hasCall(task) ? task.operation.world : undefined;
        const cell = await (world === undefined ? run(task) : inWorld(world, (runAlone) => runAlone(task)));
        cells.push(cell);
        onCell(cell);
      }
    });
  }
}

/** Starts a world for tasks that run one after another, and closes it and their drivers afterwards. */
async function inWorld<Result>(
  parameters: StartWorldParameters,
  use: (run: (task: Task) => Promise<Cell>) => Promise<Result>,
): Promise<Result> {
  const lane = await startLane(parameters);
  const drivers = new Map<ClientName, Driver>();
  try {
    return await use((task) => runCell(task, lane, drivers));
  } finally {
    for (const driver of drivers.values()) await driver.close();
    await lane.close();
  }
}

function hasCall({ client, operation }: Task): boolean {
  return (client.kind === "cli" ? operation.cli : operation.sdk) !== undefined;
}

function isCommand({ client, operation }: Task): boolean {
  return client.kind === "cli" && operation.cli !== undefined;
}

async function runCell(task: Task, lane: Lane, drivers: Map<ClientName, Driver>): Promise<Cell> {
  const operation = task.operation.name;
  const client = task.name;
  const startedAt = performance.now();
  const verdict = await attempt(task, lane, drivers);
  return { operation, client, ...verdict, seconds: (performance.now() - startedAt) / 1000 };
}

async function attempt(
  { operation, name, client }: Task,
  lane: Lane,
  drivers: Map<ClientName, Driver>,
): Promise<Pick<Cell, "outcome" | "reason">> {
  try {
    if (client.kind === "cli") {
      if (!operation.cli) return { outcome: "not in this client", reason: "no command for it" };
      await withTimeout(operation.cli({ cli: cliOf(client.clients, lane), lane }));
    } else {
      if (!operation.sdk) return { outcome: "not in this client", reason: "a matter of the CLI alone" };
      const driver = drivers.get(name) ?? startDriver(client.driver);
      drivers.set(name, driver);
      await withTimeout(operation.sdk({ sdk: sdkOf(driver, lane, client.version), lane }));
    }
    return { outcome: "pass" };
  } catch (error) {
    if (error instanceof MethodMissingError) return { outcome: "not in this client", reason: error.message };
    const failure = error instanceof Error ? error.message : String(error);
    const bug = findClientBug(name, operation.name, failure);
    return bug ? { outcome: "client bug", reason: bug } : { outcome: "fail", reason: failure };
  }
}

async function withTimeout(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not done after ${timeoutMs / 1000} s`)), timeoutMs);
  });
  await Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}
