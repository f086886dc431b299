import { InvalidArgumentError } from "../../errors/index.ts";

/** @throws InvalidArgumentError */
export function parseBlockNumber(option: string, raw: string): bigint {
  if (/^\d{1,15}$/.test(raw)) return BigInt(raw);
  throw new InvalidArgumentError(`${option} must be a block number.`, { nextStep: "Give a whole number." });
}

export type Moment = { readonly blockNumber: bigint } | { readonly timestamp: bigint };

/**
 * A block number or a time: `2026-11-21`, which means its end, or `2026-11-21T03:00Z`. A time without a zone is UTC.
 *
 * @throws InvalidArgumentError
 */
export function parseMoment(option: string, raw: string): Moment {
  if (/^\d{1,15}$/.test(raw)) return { blockNumber: BigInt(raw) };
  const [, date, time, zone] = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(raw) ?? [];
  const milliseconds = isDay(date) ? Date.parse(`${date}T${time ?? "23:59:59"}${zone ?? "Z"}`) : Number.NaN;
  if (!Number.isNaN(milliseconds)) return { timestamp: BigInt(milliseconds / 1000) };
  throw new InvalidArgumentError(`${option} must be a block number or a date.`, {
    nextStep: "Give a number, 2026-11-21 (its end, UTC) or 2026-11-21T03:00Z.",
  });
}

/** JavaScript takes February 30 for the second of March. */
function isDay(date: string | undefined): boolean {
  const time = date === undefined ? Number.NaN : Date.parse(date);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(`${date}T`);
}
