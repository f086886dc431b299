import { type Address, zeroAddress, zeroHash } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type BootInfo, type ReadBootVerdictReturnType, readBootVerdict } from "../chain/read-boot.ts";
import { type AppId, type ComposeHash, type DeviceId, type Hex, nameOfCvm } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { ContractRevertedError, NoContractError } from "../errors/index.ts";

/** What a machine reports at boot, as far as the contracts' rules use it. */
export interface Machine {
  readonly composeHash: ComposeHash;
  readonly deviceId: DeviceId;
  readonly osImageHash: Hex;
}

/** A CVM of the app, with the machine that it is. */
export interface CvmMachine extends Machine {
  readonly id: string;
  readonly name: string;
  /** As the cloud says: `running`, `stopped`. */
  readonly status: string;
}

/** The contracts' answers about one machine, in one block. */
export interface BootVerdicts {
  /** The KMS's own answer, which alone decides. Undefined if no KMS is known. */
  readonly kms: ReadBootVerdictReturnType | undefined;
  /** The app's own answer, which is a part of the KMS's. */
  readonly app: ReadBootVerdictReturnType;
}

export interface BootRow extends Machine {
  /** The CVMs that are this machine before the plan, and those that are it after. */
  readonly runsBefore: readonly string[];
  readonly runsAfter: readonly string[];
  readonly before: BootVerdicts;
  readonly after: BootVerdicts;
}

export interface ReadBootTableParameters {
  readonly appId: AppId;
  readonly kms: Address | undefined;
  readonly cvmsBefore: readonly CvmMachine[];
  readonly cvmsAfter: readonly CvmMachine[];
  /** The plan's calls: what they allow or remove is judged too. */
  readonly calls: readonly OwnerCall[];
  /** The block before the plan. */
  readonly blockBefore: bigint;
  /** The block after the plan. @default the latest block */
  readonly blockAfter?: bigint | undefined;
}

const requestsAtOnce = 8;

/**
 * Asks KMS and app whether each machine in use, and each machine that the plan is about, may boot: before the plan and
 * after it. The status of the TCB is taken as up to date.
 *
 * @throws RpcUnavailableError
 */
export async function readBootTable(
  client: ChainClient,
  { appId, kms, blockBefore, blockAfter, ...parameters }: ReadBootTableParameters,
): Promise<readonly BootRow[]> {
  const { cvmsBefore, cvmsAfter } = parameters;
  const machines = machinesOf(parameters);
  const namesOf = (cvms: readonly CvmMachine[], machine: Machine) =>
    cvms.flatMap((cvm) => (keyOf(cvm) === keyOf(machine) ? nameOfCvm(cvm) : []));
  return mapLimited(
    machines,
    async (machine) => {
      const bootInfo = bootInfoOf(appId, machine);
      const [before, after] = await Promise.all(
        [blockBefore, blockAfter].map((blockNumber) => readVerdicts(client, { kms, bootInfo, blockNumber })),
      );
      if (before === undefined || after === undefined) throw new TypeError("Two blocks were read.");
      const { composeHash, deviceId, osImageHash } = machine;
      return {
        ...{ composeHash, deviceId, osImageHash, before, after },
        runsBefore: namesOf(cvmsBefore, machine),
        runsAfter: namesOf(cvmsAfter, machine),
      };
    },
    { limit: requestsAtOnce },
  );
}

/** Whether a boot is allowed, by the KMS, or by the app alone where no KMS is known. */
export function isAllowed({ kms, app }: BootVerdicts): boolean {
  return (kms ?? app).isAllowed;
}

/** The machines in use, first those before the plan, then what the plan's hashes and devices add to them. */
function machinesOf({
  cvmsBefore,
  cvmsAfter,
  calls,
}: Pick<ReadBootTableParameters, "cvmsBefore" | "cvmsAfter" | "calls">): readonly Machine[] {
  const inUse = [...cvmsBefore, ...cvmsAfter];
  const valuesOf = (subject: string) =>
    calls.flatMap(({ functionName, args: [value] }) => (functionName.endsWith(subject) ? `${value}` : []));
  // Values of a plan are parsed already.
  const ofHashes = valuesOf("ComposeHash").flatMap((hash) =>
    inUse.map((cvm) => ({ ...cvm, composeHash: hash as ComposeHash })),
  );
  const ofDevices = valuesOf("Device")
    .filter((value) => value.startsWith("0x"))
    .flatMap((device) => inUse.map((cvm) => ({ ...cvm, deviceId: device as DeviceId })));
  const all = [...inUse, ...ofHashes, ...ofDevices];
  return [...new Map(all.map((machine) => [keyOf(machine), machine])).values()];
}

function keyOf({ composeHash, deviceId, osImageHash }: Machine): string {
  return `${composeHash} ${deviceId} ${osImageHash}`;
}

/** The contracts' rules do not use the fields that are zero here. */
function bootInfoOf(appId: AppId, { composeHash, deviceId, osImageHash }: Machine): BootInfo {
  return {
    ...{ appId, composeHash, deviceId, osImageHash, tcbStatus: "UpToDate", advisoryIds: [] },
    ...{ instanceId: zeroAddress, mrAggregated: zeroHash, mrSystem: zeroHash },
  };
}

async function readVerdicts(
  client: ChainClient,
  {
    kms,
    bootInfo,
    blockNumber,
  }: {
    readonly kms: Address | undefined;
    readonly bootInfo: BootInfo;
    readonly blockNumber: bigint | undefined;
  },
): Promise<BootVerdicts> {
  const ask = (contract: Address) => askContract(client, { kms: contract, bootInfo, blockNumber });
  const [app, ofKms] = await Promise.all([ask(bootInfo.appId), kms === undefined ? undefined : ask(kms)]);
  return { kms: ofKms, app };
}

/** A contract that fails instead of answering lets nothing boot. */
async function askContract(
  client: ChainClient,
  parameters: Parameters<typeof readBootVerdict>[1],
): Promise<ReadBootVerdictReturnType> {
  try {
    return await readBootVerdict(client, parameters);
  } catch (error) {
    if (!(error instanceof ContractRevertedError || error instanceof NoContractError)) throw error;
    return { isAllowed: false, reason: error.message };
  }
}
