import { type Abi, type AbiFunction, type AbiParameter, decodeFunctionData, encodeFunctionData, type Hex } from "viem";
import { parseAddress } from "../chain/client.ts";
import { InvalidArgumentError } from "../errors/index.ts";

/** A call that initialises a contract, with its form for people. */
export interface Initializer {
  readonly data: Hex;
  /** As `initializeLabel("main")`. Calldata that no ABI explains stays calldata. */
  readonly title: string;
}

/**
 * Parses `--initialize`: `FUNCTION(value, …)` of the contract, or calldata. Values are written as in Solidity; lists and
 * structs as JSON arrays.
 *
 * @param abi the contract's. Without it, only calldata is possible.
 * @throws InvalidArgumentError
 */
export function parseInitializer(text: string, abi: Abi | undefined): Initializer {
  const raw = text.trim();
  if (/^0x(?:[0-9a-f]{2}){4,}$/i.test(raw)) return describeInitializer(`0x${raw.slice(2).toLowerCase()}`, abi);
  const [, name, list] = /^([A-Za-z_$][\w$]*)\((.*)\)$/s.exec(raw) ?? [];
  if (name === undefined || list === undefined)
    throw refuse(`${cut(raw)} is neither calldata nor a call such as initializeLabel("main").`);
  if (abi === undefined) throw refuse("The function of --initialize is not known, because there is no --contract.");
  const values = splitValues(list);
  const named = abi.filter((item): item is AbiFunction => item.type === "function" && item.name === name);
  const fitting = named.filter(({ inputs }) => inputs.length === values.length);
  if (fitting.length === 0)
    throw refuse(`The contract has no function ${name} with ${values.length} values.`, named.map(signatureOf));
  const encoded = fitting.flatMap((item) => {
    try {
      const args = item.inputs.map((input, index) => parseValue(input, values[index] ?? ""));
      return [encodeFunctionData({ abi: [item], functionName: name, args })];
    } catch {
      return [];
    }
  });
  const [data, ...others] = encoded;
  if (data === undefined) throw refuse(`The values do not fit ${fitting.map(signatureOf).join(" or ")}.`);
  if (others.length > 0) throw refuse(`The values fit several functions: ${fitting.map(signatureOf).join(", ")}.`);
  return describeInitializer(data, abi);
}

/** A call of calldata, decoded as far as the ABI explains it. */
export function describeInitializer(data: Hex, abi: Abi | undefined): Initializer {
  try {
    const { functionName, args = [] } = decodeFunctionData<Abi>({ abi: abi ?? [], data });
    return { data, title: `${functionName}(${args.map(formatValue).join(", ")})` };
  } catch {
    return { data, title: data };
  }
}

function formatValue(value: unknown): string {
  if (typeof value === "string") return value.startsWith("0x") ? value : JSON.stringify(value);
  return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? inner.toString() : inner));
}

function signatureOf({ name, inputs }: AbiFunction): string {
  return `${name}(${inputs.map(({ type }) => type).join(",")})`;
}

/** Splits at the commas that are in no string and no brackets. */
function splitValues(list: string): readonly string[] {
  if (list.trim() === "") return [];
  const parts = [""];
  let depth = 0;
  let isText = false;
  for (const [index, character] of [...list].entries()) {
    if (character === '"' && list[index - 1] !== "\\") isText = !isText;
    if (!isText) depth += Number("[{(".includes(character)) - Number("]})".includes(character));
    if (character === "," && depth === 0 && !isText) parts.push("");
    else parts.push((parts.pop() ?? "") + character);
  }
  return parts.map((part) => part.trim());
}

/** @throws if the text is no value of the type */
function parseValue({ type, ...parameter }: AbiParameter, text: string): unknown {
  const isList = type.endsWith("]") || type.startsWith("tuple");
  return isList ? toArray({ type, ...parameter }, JSON.parse(text)) : parseScalar(type, text);
}

function toArray(parameter: AbiParameter, value: unknown): unknown {
  const [, item] = /^(.*)\[\d*\]$/.exec(parameter.type) ?? [];
  const { components = [] } = parameter as { components?: readonly AbiParameter[] };
  if (item !== undefined) return requireArray(value).map((one) => toArray({ ...parameter, type: item }, one));
  if (parameter.type !== "tuple") return parseScalar(parameter.type, String(value));
  const fields = requireArray(value);
  if (fields.length !== components.length) throw new TypeError("A struct needs all of its fields.");
  const entries = components.map((field, index) => [field.name ?? index, toArray(field, fields[index])] as const);
  return components.every(({ name }) => name) ? Object.fromEntries(entries) : entries.map(([, one]) => one);
}

function requireArray(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError("A list or struct is written as a JSON array.");
  return value;
}

function parseScalar(type: string, text: string): unknown {
  if (type === "bool") {
    if (text !== "true" && text !== "false") throw new TypeError("A bool is true or false.");
    return text === "true";
  }
  if (/^u?int/.test(type)) return BigInt(text.replaceAll("_", ""));
  if (type === "address") return parseAddress("An address", text);
  if (type === "string") return text.startsWith('"') ? String(JSON.parse(text)) : text;
  if (!/^0x(?:[0-9a-f]{2})*$/i.test(text)) throw new TypeError("Bytes are written as hex.");
  return text;
}

function refuse(problem: string, functions: readonly string[] = []): InvalidArgumentError {
  const known = functions.length === 0 ? "" : ` It has ${functions.join(", ")}.`;
  return new InvalidArgumentError(`${problem}${known}`, {
    nextStep: "Give --initialize 'FUNCTION(value, \"text\", 0x…)' with the values in order, or calldata (0x…).",
    context: { functions },
  });
}

function cut(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** Every function of the ABI that looks like an initialiser, called with empty values. */
export function initializerCalls(abi: Abi): readonly { readonly name: string; readonly data: Hex }[] {
  return abi.flatMap((item) => {
    if (item.type !== "function" || !/^(?:re)?initiali[sz]e|^migrate/i.test(item.name)) return [];
    if (item.stateMutability === "view" || item.stateMutability === "pure") return [];
    const args = item.inputs.map((input) => emptyValue(input));
    return [{ name: item.name, data: encodeFunctionData({ abi: [item], functionName: item.name, args }) }];
  });
}

function emptyValue({ type, ...parameter }: AbiParameter): unknown {
  const [, item, length] = /^(.*)\[(\d*)\]$/.exec(type) ?? [];
  if (item !== undefined) return Array.from({ length: Number(length) }, () => emptyValue({ ...parameter, type: item }));
  const { components = [] } = parameter as { components?: readonly AbiParameter[] };
  if (type === "tuple") {
    const fields = components.map((field, index) => [field.name ?? index, emptyValue(field)] as const);
    return components.every(({ name }) => name) ? Object.fromEntries(fields) : fields.map(([, one]) => one);
  }
  if (type === "bool") return false;
  if (type === "string") return "";
  if (type === "bytes") return "0x";
  if (/^u?int/.test(type)) return 0n;
  const bytes = type === "address" ? 20 : Number(type.slice("bytes".length));
  return `0x${"11".repeat(bytes)}`; // zero is often refused for another reason
}
