import { InvalidArgumentError } from "../errors/index.ts";
import { readBounded } from "../files/read-bounded.ts";
import { type AcceptingCommand, namesToAccept } from "./acceptable-names.ts";

/** @throws InvalidArgumentError */
export function parseBlockNumber(option: string, raw: string): bigint {
  if (/^\d{1,15}$/.test(raw)) return BigInt(raw);
  throw new InvalidArgumentError(`${option} must be a block number.`, { nextStep: "Give a whole number." });
}

export type Moment =
  | { readonly blockNumber: bigint }
  /** Seconds since 1970, and the milliseconds if they were given. */
  | { readonly timestamp: bigint; readonly milliseconds?: bigint };

/**
 * A block number or a time: `2026-11-21` means the end of that day; or `2026-11-21T03:00Z`, with seconds and
 * milliseconds if needed. A time without milliseconds means the end of that second. A time without a zone is UTC.
 *
 * @throws InvalidArgumentError
 */
export function parseMoment(option: string, raw: string): Moment {
  if (/^\d{1,15}$/.test(raw)) return { blockNumber: BigInt(raw) };
  const [, date, time, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(raw) ?? [];
  const milliseconds = isDay(date) ? Date.parse(`${date}T${time ?? "23:59:59"}${zone ?? "Z"}`) : Number.NaN;
  if (!Number.isNaN(milliseconds)) {
    const timestamp = BigInt(Math.floor(milliseconds / 1000));
    return time?.includes(".") ? { timestamp, milliseconds: BigInt(milliseconds) - timestamp * 1000n } : { timestamp };
  }
  throw new InvalidArgumentError(`${option} must be a block number or a date.`, {
    nextStep: "Give a number, 2026-11-21 (its end, UTC) or 2026-11-21T03:00Z.",
  });
}

/** JavaScript would read February 30 as March 2. */
function isDay(date: string | undefined): boolean {
  const time = date === undefined ? Number.NaN : Date.parse(date);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(`${date}T`);
}

const sent = ["auto", "none", "7702"] as const;

export type BatchArgument =
  | {
      readonly mode: (typeof sent)[number];
      /** Whether `auto` may let the account begin to delegate. */
      readonly allowDelegation?: boolean;
    }
  /** `file` is the path of the Safe app's file; the command chooses one if absent. */
  | { readonly mode: "safe"; readonly file: string | undefined };

/**
 * Parses `--batch`: `auto`, `auto:delegate`, `none`, `7702`, `safe` or `safe:FILE`.
 *
 * @throws InvalidArgumentError
 */
export function parseBatch(raw = "auto"): BatchArgument {
  const mode = sent.find((mode) => mode === raw);
  if (mode !== undefined) return { mode };
  if (raw === "auto:delegate") return { mode: "auto", allowDelegation: true };
  if (raw === "safe") return { mode: "safe", file: undefined };
  if (raw.startsWith("safe:") && raw.length > 5) return { mode: "safe", file: raw.slice(5) };
  throw new InvalidArgumentError("--batch must be auto, auto:delegate, none, 7702, safe or safe:FILE.", {
    nextStep:
      "auto, the default, writes a file if a Safe is the owner. Otherwise it sends one transaction if that is cheaper.",
  });
}

/**
 * Parses the names given to `--accept`, separated by commas.
 *
 * @throws InvalidArgumentError for a name that the command does not take
 */
export function parseAccept(command: AcceptingCommand, raw = ""): ReadonlySet<string> {
  const names = raw.split(",").flatMap((name) => name.trim() || []);
  const known = namesToAccept(command);
  const wrong = names.find((name) => !known.includes(name));
  if (wrong === undefined) return new Set(names);
  throw new InvalidArgumentError(`dstack ${command} has nothing named "${wrong.slice(0, 40)}" to accept.`, {
    nextStep: `Give --accept one or more of ${known.join(", ")}.`,
    context: { name: wrong, known },
  });
}

/** Reads a text file that an argument names. @throws UnusableFileError, InvalidArgumentError if it is not UTF-8 */
export async function readTextFile(path: string): Promise<string> {
  const bytes = await readBounded(path);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidArgumentError(`${path} is not UTF-8 text.`, {
      nextStep: "Save the file as UTF-8, because its bytes are hashed.",
      context: { path },
      cause,
    });
  }
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds of `30d`, `12h`, `90m`, `45s` or `2w`. @throws InvalidArgumentError */
export function parseAge(raw: string): number {
  const [, count, unit = ""] = /^(\d{1,6})([smhdw])$/.exec(raw.trim()) ?? [];
  const seconds = Number(count) * (secondsOf[unit] ?? Number.NaN);
  if (!Number.isSafeInteger(seconds)) {
    throw new InvalidArgumentError(`"${raw.slice(0, 20)}" is not an age.`, {
      nextStep: "Write a whole number and a unit: 30d, 12h, 90m.",
    });
  }
  return seconds;
}
