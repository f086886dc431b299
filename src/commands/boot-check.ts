import { zeroAddress, zeroHash } from "viem";
import { type BootInfo, type BootRule, readBootRules } from "../chain/read-boot.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { getCvmOsImage } from "../cloud/get-cvm-os-image.ts";
import { type JudgedContract, requireNoKeyEpochs } from "../core/generation.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  parseComposeHash,
  parseDeviceId,
  parseFixedHex,
} from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { parseAccept } from "./arguments.ts";
import { type AppArguments, connectApp, requireSameApp } from "./connect-app.ts";
import { findKms, type KmsArguments } from "./connect-kms.ts";
import { reportGenerations, showCaveat } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";

export interface BootCheckArguments extends AppArguments, KmsArguments, BootArguments, OutputArguments {
  readonly accept?: string | undefined;
}

export const bootCheck: Command<BootCheckArguments> = (args, host) => runTask(args, (io) => check(io, args, host));

async function check(io: TaskIo, args: BootCheckArguments, host: CommandHost): Promise<TaskOutcome> {
  const isAccepted = parseAccept("boot-check", args.accept).has("key-epochs");
  const app = await connectApp(args, host);
  const { kms, generation } = await findKms(args, app, io);
  requireNoKeyEpochs([{ role: "KMS", address: kms, generation }], isAccepted);
  const bootInfo = await readBootInfo(args, app);
  const { blockNumber, generations, rules, verdict } = await readBootRules(app.client, { kms, bootInfo });
  const contracts: JudgedContract[] = [{ role: "KMS", address: kms, generation: generations.kms }];
  if (generations.app !== undefined)
    contracts.unshift({ role: "app", address: app.appId, generation: generations.app });
  requireNoKeyEpochs(contracts, isAccepted);
  const { isAllowed, reason, reverts } = verdict;
  return {
    result: {
      appId: app.appId,
      kms,
      chainId: app.chainId,
      blockNumber,
      ...reportGenerations(contracts),
      wouldBoot: isAllowed,
      reason,
      reverts,
      rules,
      bootInfo,
    },
    show: (output) => {
      showCaveat(output, contracts);
      const rows = rules.map(({ rule, of, isMet, detail }) => [of, rule, wordFor(isMet), detail]);
      output.table({ head: ["contract", "rule", "verdict", "detail"], rows });
      output.line(
        `\n${isAllowed ? "It would boot" : "IT WOULD NOT BOOT"}: the KMS ${kms} answers ${quote(isAllowed, reason)}.`,
      );
      if (isAllowed !== rules.every(({ isMet }) => isMet === true))
        output.line(
          "The rules above do not explain this answer: the app's contract has further rules. The contract's answer decides.",
        );
    },
    exitCode: isAllowed ? 0 : negativeAnswer,
  };
}

function wordFor(isMet: BootRule["isMet"]): string {
  if (isMet === undefined) return "unknown";
  return isMet ? "met" : "NOT MET";
}

function quote(isAllowed: boolean, reason: string): string {
  return isAllowed ? "yes" : `no: ${reason}`;
}

export interface BootArguments {
  readonly hash?: string | undefined;
  readonly device?: string | undefined;
  readonly osImage?: string | undefined;
  readonly tcbStatus?: string | undefined;
}

export interface ReadBootInfoParameters {
  readonly appId: AppId;
  /** A CVM whose present hash, device and OS image are used for values that are not given. */
  readonly cvm: string | undefined;
  readonly cloud: CloudClient | undefined;
}

/**
 * What a machine would report at boot. The contracts' rules do not use the fields that are zero here.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError
 */
export async function readBootInfo(
  { hash, device, osImage, tcbStatus = "UpToDate" }: BootArguments,
  { appId, cvm, cloud }: ReadBootInfoParameters,
): Promise<BootInfo> {
  const isComplete = hash !== undefined && device !== undefined && osImage !== undefined;
  const known = isComplete || cvm === undefined || cloud === undefined ? {} : await askCloud(cloud, cvm, appId);
  const composeHash = hash === undefined ? known.composeHash : parseComposeHash(hash);
  const deviceId = device === undefined ? known.deviceId : parseDeviceId(device);
  const osImageHash = osImage === undefined ? known.osImageHash : parseFixedHex("An OS image hash", osImage, 32);
  if (composeHash === undefined) throw missing("--hash");
  if (deviceId === undefined) throw missing("--device");
  if (osImageHash === undefined) throw missing("--os-image");
  return {
    appId,
    composeHash,
    deviceId,
    osImageHash,
    tcbStatus,
    instanceId: zeroAddress,
    mrAggregated: zeroHash,
    mrSystem: zeroHash,
    advisoryIds: [],
  };
}

interface Known {
  readonly composeHash?: ComposeHash | undefined;
  readonly deviceId?: DeviceId | undefined;
  readonly osImageHash?: BootInfo["osImageHash"] | undefined;
}

async function askCloud(cloud: CloudClient, cvm: string, appId: AppId): Promise<Known> {
  const [{ appId: itsApp, composeHash, deviceId }, osImageHash] = await Promise.all([
    getCvm(cloud, { cvm }),
    getCvmOsImage(cloud, { cvm }),
  ]);
  requireSameApp(cvm, itsApp, appId);
  return { composeHash, deviceId, osImageHash };
}

function missing(option: string): InvalidArgumentError {
  return new InvalidArgumentError(`${option} is missing, and no CVM provides the value.`, {
    nextStep: "Give --hash, --device and --os-image, or --cvm to take them from a CVM (which needs an API key).",
  });
}
