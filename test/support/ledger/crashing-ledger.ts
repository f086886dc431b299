import type { Ledger } from "../../../src/chain/transactions/ledger.ts";

export interface CrashPoint {
  /** Counts the writes of one run, from 1. */
  readonly write: number;
  readonly when: "before" | "after";
}

export class Crash extends Error {
  override readonly name = "Crash";
}

/** The methods that write to the disk. */
export const ledgerWrites = [
  "record",
  "addAttempt",
  "markSent",
  "setState",
  "setFinality",
  "setOwner",
  "endBatch",
  "writeNote",
] as const satisfies readonly (keyof Ledger)[];

export interface WriteHooks {
  readonly before?: (method: string, write: number, args: readonly unknown[]) => void;
  readonly after?: (method: string, write: number, args: readonly unknown[]) => void;
}

/** A ledger with hooks at its writes, which are the moments between two effects. */
export function hookedLedger(ledger: Ledger, { before, after }: WriteHooks): Ledger {
  let count = 0;
  return new Proxy(ledger, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (!ledgerWrites.some((write) => write === name)) return value.bind(target);
      return (...args: unknown[]) => {
        const write = ++count;
        before?.(String(name), write, args);
        const result: unknown = Reflect.apply(value, target, args);
        after?.(String(name), write, args);
        return result;
      };
    },
  });
}

/** A ledger whose process dies at one of its writes: nothing after it is written. */
export function crashingLedger(ledger: Ledger, point: CrashPoint, die: () => void = crash): Ledger {
  return hookedLedger(ledger, {
    before: (_, write) => {
      if (write > point.write || (write === point.write && point.when === "before")) die();
    },
    after: (_, write) => {
      if (write === point.write && point.when === "after") die();
    },
  });
}

/** Dies once a transaction is recorded, before it is sent. */
export function crashingOnceRecorded(ledger: Ledger, crash: Error = new Crash()): Ledger {
  return hookedLedger(ledger, {
    after: (method) => {
      if (method === "record") throw crash;
    },
  });
}

function crash(): never {
  throw new Crash();
}
