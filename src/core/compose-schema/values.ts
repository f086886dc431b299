import { entriesOf, fieldOf } from "../docker-compose.ts";
import { isUnknown } from "./interpolation.ts";

// Settings of compose files have a short form as text, which Docker Compose parses after the schema has accepted it.

export function fieldAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce(fieldOf, value);
}

/** Items of a list, or a text as the only item. */
export function itemsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return typeof value === "string" ? [value] : [];
}

/** Keys of a mapping, or the texts of a list. */
export function namesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.filter((item) => typeof item === "string");
  return entriesOf(value).map(([name]) => name);
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

interface Volume {
  readonly type?: string;
  readonly source?: string | undefined;
  readonly target?: string | undefined;
  readonly problem?: string;
}

/** Reads either form of a volume: a mapping, or `source:target:options`. */
export function parseVolume(volume: unknown): Volume {
  if (typeof volume !== "string") {
    const [type, source, target] = ["type", "source", "target"].map((name) => textOf(fieldOf(volume, name)));
    return { ...(type !== undefined && { type }), source, target };
  }
  if (isUnknown(volume)) return {};
  if (volume === "") return { problem: "is empty" };
  if (volume.length <= 2) return { type: "volume", target: volume };
  const sections = [""];
  for (const character of volume) {
    const section = sections.at(-1) ?? "";
    // A colon after a single letter belongs to the drive of a Windows path.
    if (character === ":" && !/^\p{L}$/u.test(section)) sections.push("");
    else sections[sections.length - 1] = section + character;
  }
  if (sections.includes("")) return { problem: "has nothing between two colons" };
  if (sections.length > 3) return { problem: "has too many colons" };
  const [first, second] = sections;
  if (second === undefined) return { type: "volume", target: first };
  const isPath = /^(?:[./~]|\\\\|[A-Za-z]:)/.test(first ?? "");
  return { type: isPath ? "bind" : "volume", source: first, target: second };
}

/** Returns why Docker Compose rejects a port such as `127.0.0.1:8080-8090:80-90/udp`. */
export function portProblem(port: string): string | undefined {
  const parts = port.split(":");
  const [container = "", protocol = ""] = (parts.pop() ?? "").split("/");
  const host = parts.pop() ?? "";
  // An IPv6 address is in brackets.
  const [, bracketed, bare] = /^\[(.*)\]$|^([^:]*)$/.exec(parts.join(":")) ?? [];
  const address = bracketed ?? bare;
  if (address === undefined || (address !== "" && !isIpAddress(address))) return "has no valid IP address";
  if (container === "") return "has no container port";
  const inside = portRange(container);
  if (inside === undefined || /^0+(?:-|$)/.test(container)) return "has no valid container port";
  const outside = host === "" ? undefined : portRange(host);
  if (host !== "" && outside === undefined) return "has no valid host port";
  if (outside !== undefined && inside > 0 && outside !== inside) return "has ranges of different lengths";
  return /^(?:tcp|udp|sctp)?$/i.test(protocol) ? undefined : "has an unknown protocol";
}

/** Returns how many ports follow the first. Undefined if it is no port or range of ports. */
function portRange(text: string): number | undefined {
  const [start = "", end = start] = text.split("-");
  if (![start, end].every((port) => /^\d+$/.test(port) && Number(port) <= 65_535)) return undefined;
  return Number(end) >= Number(start) ? Number(end) - Number(start) : undefined;
}

export function isIpAddress(text: string): boolean {
  const octet = /^(?:0|[1-9]\d{0,2})$/;
  const isVersion4 = (address: string) => {
    const octets = address.split(".");
    return octets.length === 4 && octets.every((part) => octet.test(part) && Number(part) <= 255);
  };
  if (!text.includes(":")) return isVersion4(text);
  const groups = text.replace(/[^:]*\.[^:]*$/, (last) => (isVersion4(last) ? "0:0" : "x")).split("::");
  if (groups.length > 2) return false;
  const parts = groups.flatMap((group) => (group === "" ? [] : group.split(":")));
  if (!parts.every((part) => /^[\da-fA-F]{1,4}$/.test(part))) return false;
  return groups.length === 2 ? parts.length < 8 : parts.length === 8;
}

const [microsecond, second] = [1e3, 1e9];
const nanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: microsecond,
  µs: microsecond,
  μs: microsecond,
  ms: 1e6,
  s: second,
  m: 60 * second,
  h: 3600 * second,
  d: 86_400 * second,
  w: 604_800 * second,
};

export function isDuration(value: unknown): boolean {
  const text = String(value);
  if (!/^[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+)$/.test(text)) return false;
  const parts = [...text.matchAll(/([\d.]+)([a-zµμ]+)/g)];
  // A duration has 64 bits in Go.
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (nanoseconds[unit] ?? 0), 0) < 2 ** 63;
}

const factors = ["", "k", "m", "g", "t", "p"];

/** Reads a size such as `512m` or `1.5 GiB`. Undefined if it is none. */
export function bytesOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  const text = textOf(value) ?? "";
  if (/^[-+]?\d+$/.test(text)) return Number(text);
  const [, count, unit = ""] = /^(\+?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?) ?(?:([kmgtp])(?:i?b)?|b)?$/i.exec(text) ?? [];
  return count === undefined ? undefined : Math.trunc(Number(count) * 1024 ** factors.indexOf(unit.toLowerCase()));
}

/**
 * Returns why a command is not run as it is written. Docker Compose splits it into words, needs every quote and every
 * `$(` closed, and leaves out everything from an operator of a shell on.
 */
export function commandProblem(text: string): string | undefined {
  const open = new Set<string>();
  const toggle = (quote: string) => (open.has(quote) ? open.delete(quote) : open.add(quote));
  const isFree = (...quotes: readonly string[]) => !quotes.some((quote) => open.has(quote));
  let previous = "";
  let isEscaped = false;
  for (const character of text) {
    const isLiteral: boolean = isEscaped;
    isEscaped = !isLiteral && character === "\\" && isFree("'");
    if (!isLiteral && !isEscaped) {
      if (character === "`" && isFree("'", '"', "(")) toggle("`");
      if (character === ")" && isFree("'", '"', "`")) toggle("(");
      if (character === '"' && isFree("'", "(")) toggle('"');
      if (character === "'" && isFree('"', "(")) toggle("'");
      if (character === "(" && isFree("'", '"', "`")) {
        if (!isFree("(") || previous !== "$") return "has a bracket that is not quoted";
        open.add("(");
      }
      if (/[;&|<>]/.test(character) && open.size === 0) {
        return `has ${character} outside of quotes, and Docker leaves out what follows (write a list: sh, -c and the text)`;
      }
    }
    previous = character;
  }
  return open.size === 0 && !isEscaped ? undefined : "has a quote or a bracket that is not closed";
}
