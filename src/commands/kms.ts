import { requireCode } from "../chain/code.ts";
import { type AskedValue, readKmsStatus } from "../chain/read-kms.ts";
import { caveatOf, describeGeneration, type JudgedContract, requireNoKeyEpochs } from "../core/generation.ts";
import { type Hex, parseFixedHex } from "../core/ids.ts";
import { buildOwnerCall } from "../core/owner-calls.ts";
import { describeOwnerFully } from "../output/format.ts";
import { parseAccept } from "./arguments.ts";
import { type ConnectKmsArguments, connectKms } from "./connect-kms.ts";
import { showCaveat } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import type { KmsChange } from "./kms-changes.ts";
import { lintAndShow, lintInputs } from "./lint.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { type ChangeAppArguments, executeCalls, planRequestOf } from "./write.ts";

export interface ChangeKmsArguments extends ConnectKmsArguments, ChangeAppArguments, OutputArguments {
  /** The 32 bytes to add or remove, or an address. */
  readonly value: string;
}

/** The command of one row of `kmsChanges`. */
export function kmsChange(change: KmsChange): Command<ChangeKmsArguments> {
  return (args, host) => runTask(args, (io) => changeKms(io, args, host, change));
}

/**
 * Changes a KMS: parses the value, refuses a KMS with key epochs, lints, refuses a call that changes nothing, and sends
 * the call as the owner.
 *
 * @throws InvalidArgumentError, InvalidHexError, LintRefusedError, KeyEpochsError, NoEffectError, and what executeCalls
 * throws
 */
async function changeKms(
  io: TaskIo,
  args: ChangeKmsArguments,
  host: CommandHost,
  { what, bytes, functionName, warning, needsCode = false }: KmsChange,
): Promise<TaskOutcome> {
  const accepted = parseAccept("kms", args.accept);
  lintInputs(what, [args.value]);
  const value = parseFixedHex(what, args.value, bytes);
  const connected = await connectKms(args, host, io);
  const { kms, client, chainId, generation } = connected;
  const contracts: readonly JudgedContract[] = [{ role: "KMS", address: kms, generation }];
  requireNoKeyEpochs(contracts, accepted.has("key-epochs"));
  showCaveat(io.output, contracts);
  const calls = [buildOwnerCall({ contract: "kms", to: kms, functionName, args: [value] })];
  const findings = lintAndShow(io.output, { calls }, accepted);
  if (needsCode) await requireCode(client, { address: value });
  const { owner } = await readKmsStatus(client, { kms });
  io.output.line(warning);
  const { batch, dryRun } = args;
  const plan = planRequestOf(args, { kms, accepted });
  const sent = await executeCalls(io, connected, { calls, signer: owner, batch, dryRun, plan });
  return { result: { kms, chainId, generation, caveat: caveatOf(contracts), ...sent, findings } };
}

export interface KmsShowArguments extends ConnectKmsArguments, OutputArguments {
  /** Values to ask for, separated by commas. The contract has no list of them. */
  readonly osImage?: string | undefined;
  readonly device?: string | undefined;
  readonly measurement?: string | undefined;
}

export const kmsShow: Command<KmsShowArguments> = (args, host) => runTask(args, (io) => show(io, args, host));

async function show(io: TaskIo, args: KmsShowArguments, host: CommandHost): Promise<TaskOutcome> {
  const osImageHashes = parseList("An OS image hash", args.osImage);
  const deviceIds = parseList("A device id", args.device);
  const mrsAggregated = parseList("An aggregated measurement", args.measurement);
  const { client, kms, chainId, network } = await connectKms(args, host, io);
  const status = await readKmsStatus(client, { kms, osImageHashes, deviceIds, mrsAggregated });
  const caveat = caveatOf([status]);
  const asked = [...status.osImages, ...status.devices, ...status.measurements];
  return {
    result: {
      ...{ kms, chainId, network, ...status, caveat, pendingOwner: status.pendingOwner ?? null },
      osImages: status.osImages.map(toJsonValue),
      devices: status.devices.map(toJsonValue),
      measurements: status.measurements.map(toJsonValue),
    },
    show: (output) => {
      for (const [label, value] of [
        ["KMS", kms],
        ["chain", `${network}, id ${chainId}, block ${status.blockNumber}`],
        ["generation", describeGeneration(status.generation)],
        ["CAUTION", caveat ?? undefined],
        ["owner", describeOwnerFully(status.owner)],
        ["invited", status.pendingOwner && describeOwnerFully(status.pendingOwner)],
        ["code", status.implementation ?? "no ERC-1967 proxy"],
        ["new apps run", BigInt(status.appImplementation) === 0n ? "nothing: none is set" : status.appImplementation],
        ["gateway app", status.gatewayAppId || "not set"],
        ["root key", status.k256Pubkey === "0x" ? "not published" : status.k256Pubkey],
        ...rowsOf("OS image", status.osImages),
        ...rowsOf("device", status.devices),
        ...rowsOf("measurement", status.measurements),
      ] as const) {
        if (value !== undefined) output.line(`${label.padEnd(13)} ${value}`);
      }
    },
    exitCode: asked.every(({ isAllowed }) => isAllowed) ? 0 : negativeAnswer,
  };
}

function toJsonValue({ value, isAllowed }: AskedValue) {
  return { value, isAllowed: isAllowed ?? null };
}

function parseList(what: string, raw: string | undefined): readonly Hex[] {
  return raw === undefined ? [] : raw.split(",").map((value) => parseFixedHex(what, value.trim(), 32));
}

function rowsOf(label: string, values: readonly AskedValue[]) {
  const words = (isAllowed: boolean | undefined) =>
    isAllowed === undefined
      ? "not known: the contract's answer is not readable"
      : isAllowed
        ? "allowed"
        : "NOT ALLOWED";
  return values.map(({ value, isAllowed }) => [label, `${value}  ${words(isAllowed)}`] as const);
}
