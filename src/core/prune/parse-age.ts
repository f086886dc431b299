import { InvalidArgumentError } from "../../errors/index.ts";

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
