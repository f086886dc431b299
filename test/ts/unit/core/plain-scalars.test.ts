import { expect } from "chai";
import { parseComposeYaml } from "../../../../src/core/docker-compose.ts";
import { InvalidAppComposeError } from "../../../../src/errors/index.ts";

// Every value was read with yaml.v4 4.0.0-rc.4, the parser of compose-go 2.16. The stage `clients` compares more.
describe("parseComposeYaml on plain scalars", () => {
  const readings: readonly (readonly [string, unknown])[] = [
    ["010", 8],
    ["-010", -8],
    ["0440", 288],
    ["08", 8],
    ["0o17", 15],
    ["0x1F", 31],
    ["-0b11", -3],
    ["1_000", 1000],
    ["0x", "0x"],
    ["0xFFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFFF"],
    ["1_0.5", 10.5],
    [".5", 0.5],
    ["1e400", "1e400"],
    ["yes", "yes"],
    ["TRUE", true],
    ["tRUE", "tRUE"],
    ["NULL", null],
    ["12:30:45", "12:30:45"],
    ["2026-1-1", "2026-01-01T00:00:00Z"],
    ["2026-02-30", "2026-02-30"],
    ["2026-01-01T1:2:3+02:00", "2026-01-01T01:02:03+02:00"],
    ["2026-01-01T10:00:00.500Z", "2026-01-01T10:00:00.5Z"],
    ["2026-01-01 10:00:00", "2026-01-01T10:00:00Z"],
    ["2026-01-01T10:00:00", "2026-01-01T10:00:00"],
    ["2026-01-01 10:00:00Z", "2026-01-01 10:00:00Z"],
    ['"010"', "010"],
    ["!!str 010", "010"],
  ];
  for (const [source, value] of readings)
    it(`reads ${source} as ${JSON.stringify(value)}`, () => {
      expect(parseComposeYaml(`a: &a ${source}\nb: *a\n`)).to.deep.equal({ a: value, b: value });
    });

  for (const key of ["0b11", "1_000", "2026-01-01", "~", "1.5"])
    it(`refuses ${key} as a key, also by an alias`, () => {
      for (const text of [`${key}: a\n`, `a: &a ${key}\n*a : b\n`]) {
        expect(() => parseComposeYaml(text)).to.throw(InvalidAppComposeError, /has a key that is not text/);
      }
    });

  for (const source of [".inf", "-.Inf", ".nan"])
    it(`refuses the number ${source}`, () => {
      expect(() => parseComposeYaml(`a: ${source}\n`)).to.throw(/has a number that is not finite, at line 1, column 4/);
    });
});
