import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { type AskedValue, readKmsStatus } from "../../../chain/read-kms.ts";
import { caveatOf, describeGeneration } from "../../../core/generation.ts";
import { type Hex, parseFixedHex } from "../../../core/ids.ts";
import { describeOwnerFully } from "../../../report/format.ts";
import { type ConnectKmsArguments, connectKms } from "../../connect/connect-kms.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskOutcome } from "../../connect/run-task.ts";

export interface KmsShowArguments extends ConnectKmsArguments, OutputArguments {
  /** Values to ask for, separated by commas: the contract has no list of them. */
  readonly osImage?: string | undefined;
  readonly device?: string | undefined;
  readonly measurement?: string | undefined;
}

const action: NewTaskActionFunction<KmsShowArguments> = (args, hre) => runTask(args, () => show(args, hre));
export default action;

async function show(args: KmsShowArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const osImageHashes = parseList("An OS image hash", args.osImage);
  const deviceIds = parseList("A device id", args.device);
  const mrsAggregated = parseList("An aggregated measurement", args.measurement);
  const { client, kms, chainId, network } = await connectKms(args, hre);
  const status = await readKmsStatus(client, { kms, osImageHashes, deviceIds, mrsAggregated });
  const caveat = caveatOf([status]);
  const asked = [...status.osImages, ...status.devices, ...status.measurements];
  return {
    result: { kms, chainId, network, ...status, caveat, pendingOwner: status.pendingOwner ?? null },
    show: (paper) => {
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
        if (value !== undefined) paper.line(`${label.padEnd(13)} ${value}`);
      }
    },
    exitCode: asked.every(({ isAllowed }) => isAllowed) ? 0 : negativeAnswer,
  };
}

function parseList(what: string, raw: string | undefined): readonly Hex[] {
  return raw === undefined ? [] : raw.split(",").map((value) => parseFixedHex(what, value.trim(), 32));
}

function rowsOf(label: string, values: readonly AskedValue[]) {
  return values.map(({ value, isAllowed }) => [label, `${value}  ${isAllowed ? "allowed" : "NOT ALLOWED"}`] as const);
}
