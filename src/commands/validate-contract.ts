import type {
  SolcInput,
  SolcOutput,
  StorageLayout,
  ValidationDataCurrent,
  ValidationOptions,
} from "@openzeppelin/upgrades-core";
import type { Hex } from "viem";
import type { AppLayout } from "../core/app-layouts.ts";
import { cleanText } from "../core/text.ts";
import type { UpgradeObjection } from "../core/upgrade-rules.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { importWithPeer } from "../files/import-with-peer.ts";
import { readBoundedText } from "../files/read-bounded.ts";
import type { ProjectContract } from "./host.ts";

/** Loaded when a contract of the project is validated. */
const peer = "@openzeppelin/upgrades-core";
const loadValidator = () => importWithPeer({ entry: "--contract", peer }, () => import("@openzeppelin/upgrades-core"));
type Validator = Awaited<ReturnType<typeof loadValidator>>;

/** The build output of a large project has hundreds of megabytes. */
const mostBytes = 512 * 1024 * 1024;

/** What runs behind the proxy today: a public release, or a contract of the project. */
export type LiveContract =
  | { readonly layout: AppLayout; readonly isTwoStep: boolean }
  | { readonly contract: ProjectContract };

/**
 * Checks a contract of the project with OpenZeppelin's validator: whether its code is safe behind a proxy, and whether
 * its storage keeps what the present contract has.
 *
 * @param live undefined for a new app
 * @throws MissingPackageError, InvalidArgumentError if the build has no storage layout
 */
export async function validateContract(
  contract: ProjectContract,
  live: LiveContract | undefined,
): Promise<readonly UpgradeObjection[]> {
  const validator = await loadValidator();
  const options = validator.withValidationDefaults({ kind: "uups", unsafeAllow: [...printedKinds] });
  const { layout, errors: found } = await inspect(validator, contract, options);
  const ignored = live === undefined ? simulatedKinds : [...simulatedKinds, ...kindsOfFirstInitialization];
  const errors = found.filter(({ kind }) => !ignored.includes(kind));
  const objections: UpgradeObjection[] = [];
  if (errors.length > 0)
    objections.push({
      rule: "unsafe-code",
      problem: `OpenZeppelin's validator says that ${contract.name} is not safe behind a proxy: ${errors.map(({ kind, src }) => `${kind} (${src})`).join(", ")}.`,
    });
  if (live === undefined) return objections;
  const before = "contract" in live ? (await inspect(validator, live.contract, options)).layout : toLayout(live);
  const report = validator.getStorageUpgradeReport(before, layout, options);
  if (!report.ok) {
    const from = "contract" in live ? live.contract.name : `a release of ${live.layout.releases}`;
    const lines = report.explain(false).split("\n");
    const findings = lines.flatMap((line) => /^\S+: +(\S.*)$/.exec(line)?.[1] ?? []); // without the file
    const told = cleanText(findings.join("; "), 600);
    objections.push({
      rule: "layout-collision",
      problem: `The storage of ${contract.name} does not continue that of ${from}, so the app would lose data: ${told}.`,
    });
  }
  return objections;
}

/** The validator only prints these, as warnings. */
const printedKinds = ["incorrect-initializer-order"] as const;
/** A contract may inherit its initialiser. The simulation shows whether it sets the owner. */
const simulatedKinds: readonly string[] = ["missing-initializer"];
/** Rules for the first initialisation. The app of an upgrade had it, and a reinitialiser must not repeat it. */
const kindsOfFirstInitialization: readonly string[] = ["missing-initializer-call", "duplicate-initializer-call"];

interface Finding {
  readonly kind: string;
  readonly src: string;
}

async function inspect(
  validator: Validator,
  contract: ProjectContract,
  options: Required<ValidationOptions>,
): Promise<{ readonly layout: StorageLayout; readonly errors: readonly Finding[] }> {
  const data = await runValidator(validator, contract);
  const [run] = data.log;
  const name = contract.build?.contract ?? contract.name;
  const version = run === undefined || run[name] === undefined ? undefined : validator.getContractVersion(run, name);
  if (version === undefined) throw unusableBuild(contract, "does not describe it");
  const layout = validator.getStorageLayout(data, version);
  if (layout.storage.some(({ slot }) => slot === undefined)) throw unusableBuild(contract, "has no storage layout");
  const errors = validator
    .getErrors(data, version, options)
    .map(({ kind, src }) => ({ kind, src: cleanText(src, 200) }));
  return { layout, errors };
}

/** Contracts of one build are validated together. */
const validated = new Map<string, ValidationDataCurrent>();

async function runValidator(validator: Validator, contract: ProjectContract): Promise<ValidationDataCurrent> {
  const { build } = contract;
  if (build === undefined) throw unusableBuild(contract, "was not kept");
  const known = validated.get(build.outputPath);
  if (known !== undefined) return known;
  const { input, solcLongVersion } = await readJson<{ input: SolcInput; solcLongVersion: string }>(build.inputPath);
  const { output } = await readJson<{ output: SolcOutput }>(build.outputPath);
  const decoder = validator.solcInputOutputDecoder(input, output);
  const run = validator.validate(output, decoder, solcLongVersion, input);
  const data = { version: "3.4" as const, log: [run] };
  validated.set(build.outputPath, data);
  return data;
}

/** Files that the project's own compiler has just written. */
async function readJson<Content>(path: string): Promise<Content> {
  return JSON.parse(await readBoundedText(path, mostBytes)) as Content;
}

function unusableBuild({ name }: ProjectContract, problem: string): InvalidArgumentError {
  return new InvalidArgumentError(`The compiler's output of ${name} ${problem}, so it cannot be validated.`, {
    nextStep:
      'Set outputSelection: { "*": { "*": ["storageLayout"] } } in the settings of the compiler in hardhat.config, then run npx hardhat build --force.',
    context: { name },
  });
}

/** A public layout in the form of the validator. Ownership and initialisation are in namespaces (ERC-7201). */
export function toLayout({ layout, isTwoStep }: Extract<LiveContract, { layout: AppLayout }>): StorageLayout {
  const contract = "DstackApp";
  const at = (label: string, type: string) => ({ contract, label, type, src: `release ${layout.releases}` });
  const types = Object.fromEntries(
    layout.variables.map(({ type }) => [typeIdOf(type), { label: type, numberOfBytes: bytesOf(type) }]),
  );
  const scalars = ["address", "bool", "bytes32", "uint256", "uint64"];
  for (const scalar of scalars) types[`t_${scalar}`] = { label: scalar, numberOfBytes: bytesOf(scalar) };
  const namespace = (name: string) => `erc7201:openzeppelin.storage.${name}`;
  return {
    storage: layout.variables.map(({ label, slot, offset, type }) => ({
      ...at(label, typeIdOf(type)),
      offset,
      slot: String(slot),
    })),
    types,
    namespaces: {
      [namespace("Ownable")]: [at("_owner", "t_address")],
      ...(isTwoStep && { [namespace("Ownable2Step")]: [at("_pendingOwner", "t_address")] }),
      [namespace("Initializable")]: [at("_initialized", "t_uint64"), at("_initializing", "t_bool")],
    },
  };
}

function typeIdOf(type: string): string {
  const [, length] = /^uint256\[(\d+)\]$/.exec(type) ?? [];
  if (length !== undefined) return `t_array(t_uint256)${length}_storage`;
  return type === "mapping(bytes32 => bool)" ? "t_mapping(t_bytes32,t_bool)" : `t_${type}`;
}

function bytesOf(type: string): string {
  const [, length] = /^uint256\[(\d+)\]$/.exec(type) ?? [];
  if (length !== undefined) return String(32 * Number(length));
  return { bool: "1", address: "20", uint64: "8" }[type] ?? "32";
}

/** Whether code on a chain is the contract's, whatever the values of its immutable variables. */
export function isCodeOf({ deployedBytecode, immutables }: ProjectContract, code: Hex): boolean {
  const mask = (hex: Hex) => {
    const bytes = Buffer.from(hex.slice(2), "hex");
    for (const { start, length } of immutables) bytes.fill(0, start, start + length);
    return bytes;
  };
  return code !== "0x" && mask(deployedBytecode).equals(mask(code));
}
