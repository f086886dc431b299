import { type Address, decodeFunctionResult, encodeFunctionData, type Hex, size } from "viem";
import type { Generation } from "../core/generation.ts";
import { type AppId, type ComposeHash, type DeviceId, parseFixedHex } from "../core/ids.ts";
import { ContractRevertedError, NoContractError } from "../errors/index.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import { callMany, ethCall } from "./calls.ts";
import { type ChainClient, parseAddress } from "./client.ts";
import { readCode, requireCode } from "./code.ts";
import { generationCalls, notLike, readGeneration, takeGeneration } from "./generation.ts";
import { readAppViews } from "./read-app.ts";

export type BootRuleName = "registered" | "osImage" | "code" | "tcbStatus" | "composeHash" | "device";

/** One rule that the KMS or the app checks before a boot. */
export interface BootRule {
  readonly rule: BootRuleName;
  /** The contract that checks it. */
  readonly of: "kms" | "app";
  /** Undefined if the app's contract cannot be asked: it is not a DstackApp, or does not exist. */
  readonly isMet: boolean | undefined;
  /** Why, in a few words. */
  readonly detail: string;
}

export interface ReadBootRulesReturnType {
  /** The block everything here belongs to. */
  readonly blockNumber: bigint;
  /** If a contract has key epochs, rules and verdict are those of app epoch 0 and may not be the ones that decide. */
  readonly generations: {
    readonly kms: Generation;
    /** Undefined if there is no contract at the app's address. */
    readonly app: Generation | undefined;
  };
  /** In the order in which the contracts check them. */
  readonly rules: readonly BootRule[];
  /** The KMS's own answer; only this decides. `reverts` is true if the app's contract reverts instead of answering. */
  readonly verdict: ReadBootVerdictReturnType & { readonly reverts: boolean };
}

/**
 * Checks every boot rule separately, and also asks the contracts for their verdict. The contracts stop at the first
 * rule that is not met; this returns all of them.
 *
 * @throws InvalidHexError
 * @throws NoContractError, ContractRevertedError if there is no KMS at the address
 * @throws RpcUnavailableError
 *
 * @example
 * import { readBootRules } from "dstack-toolkit/chain";
 * import { bootInfo, client, kms } from "./app.js";
 * const { rules } = await readBootRules(client, { kms, bootInfo });
 * for (const { rule, isMet, detail } of rules) console.log(rule, isMet, detail);
 */
export async function readBootRules(
  client: ChainClient,
  { bootInfo, blockNumber: wantedBlock, ...parameters }: ReadBootVerdictParameters,
): Promise<ReadBootRulesReturnType> {
  const kms = parseAddress("The KMS address", parameters.kms);
  const { appId, osImageHash } = bootInfo;
  const { blockNumber, answers } = await callMany(client, {
    to: kms,
    abi: dstackKmsAbi,
    calls: [
      encodeFunctionData({ abi: dstackKmsAbi, functionName: "registeredApps", args: [appId] }),
      encodeFunctionData({ abi: dstackKmsAbi, functionName: "allowedOsImages", args: [osImageHash] }),
      ...generationCalls,
    ],
    blockNumber: wantedBlock,
    doing: "reading the rules of the KMS",
  });
  await requireCode(client, { address: kms, blockNumber });
  const generation = takeGeneration(answers);
  const [isRegistered, isOsImageAllowed] = answers.slice(0, 2).map(decodeFlag);
  if (isRegistered === undefined || isOsImageAllowed === undefined) {
    const reason = notLike("a DstackKms", generation);
    throw new ContractRevertedError({ contract: kms, functionName: "registeredApps", reason });
  }
  const hasCode = (await readCode(client, { address: appId, blockNumber })) !== "0x";
  const app = await readAppRules(client, bootInfo, blockNumber);
  const rules: readonly BootRule[] = [
    rule("kms", "registered", isRegistered, isRegistered ? "the app is registered" : "the app is not registered"),
    rule("kms", "osImage", isOsImageAllowed, osImageHash),
    rule("kms", "code", hasCode, hasCode ? "there is a contract" : "there is no contract at the app's address"),
    ...app.rules,
  ];
  const generations = { kms: generation, app: hasCode ? app.generation : undefined };
  return { blockNumber, generations, rules, verdict: await readVerdict(client, { kms, bootInfo, blockNumber }) };
}

async function readAppRules(
  client: ChainClient,
  { appId, composeHash, deviceId, tcbStatus }: ReadBootVerdictParameters["bootInfo"],
  blockNumber: bigint,
): Promise<{ readonly rules: readonly BootRule[]; readonly generation: Generation | undefined }> {
  try {
    const { get, generation } = await readAppViews(client, {
      appId,
      calls: [
        { view: "requireTcbUpToDate" },
        { view: "allowedComposeHashes", key: composeHash },
        { view: "allowAnyDevice" },
        { view: "allowedDeviceIds", key: deviceId },
      ],
      blockNumber,
      doing: "reading the rules of the app",
    });
    const mustBeUpToDate = get("requireTcbUpToDate") ?? false;
    const allowsAny = get("allowAnyDevice");
    const rules = [
      rule(
        "app",
        "tcbStatus",
        !mustBeUpToDate || tcbStatus === "UpToDate",
        mustBeUpToDate ? `must be UpToDate, is ${tcbStatus}` : "any status may boot",
      ),
      rule("app", "composeHash", get("allowedComposeHashes"), composeHash),
      rule("app", "device", allowsAny || get("allowedDeviceIds"), allowsAny ? "any device may boot" : deviceId),
    ];
    return { rules, generation };
  } catch (error) {
    if (!(error instanceof ContractRevertedError || error instanceof NoContractError)) throw error;
    const names = ["tcbStatus", "composeHash", "device"] as const;
    const why = "the app is not a DstackApp, so its rules cannot be read";
    return {
      rules: names.map((name) => rule("app", name, undefined, why)),
      generation:
        error instanceof NoContractError ? undefined : await readGeneration(client, { address: appId, blockNumber }),
    };
  }
}

async function readVerdict(client: ChainClient, parameters: ReadBootVerdictParameters) {
  try {
    return { ...(await readBootVerdict(client, parameters)), reverts: false };
  } catch (error) {
    if (!(error instanceof ContractRevertedError)) throw error;
    return { isAllowed: false, reason: error.message, reverts: true };
  }
}

function rule(of: BootRule["of"], name: BootRuleName, isMet: boolean | undefined, detail: string): BootRule {
  return { rule: name, of, isMet, detail };
}

function decodeFlag(data: Hex | undefined): boolean | undefined {
  if (data === undefined || size(data) !== 32) return undefined;
  return decodeFunctionResult({ abi: dstackKmsAbi, functionName: "registeredApps", data });
}

/** What a machine reports when it asks for an app's keys. */
export interface BootInfo {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly instanceId: Address;
  readonly deviceId: DeviceId;
  readonly mrAggregated: Hex;
  readonly mrSystem: Hex;
  readonly osImageHash: Hex;
  /** As written in the quote, for example `UpToDate`. Compared byte for byte. */
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
}

export interface ReadBootVerdictParameters {
  /** The KMS, which also checks registration and OS image. Or an app, to check only the app's own rules. */
  readonly kms: Address;
  readonly bootInfo: BootInfo;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export interface ReadBootVerdictReturnType {
  readonly isAllowed: boolean;
  /** Empty if allowed; otherwise the first rule that failed, in the contract's own words. */
  readonly reason: string;
}

/**
 * Asks the contracts whether this machine may boot this app, as the key service does at every boot.
 *
 * @throws InvalidHexError, NoContractError, RpcUnavailableError
 * @throws ContractRevertedError if the app's contract fails instead of answering
 *
 * @example
 * import { readBootVerdict } from "dstack-toolkit/chain";
 * import { bootInfo, client, kms } from "./app.js";
 * const { isAllowed, reason } = await readBootVerdict(client, { kms, bootInfo });
 */
export async function readBootVerdict(
  client: ChainClient,
  { bootInfo, blockNumber, ...parameters }: ReadBootVerdictParameters,
): Promise<ReadBootVerdictReturnType> {
  const kms = parseAddress("The KMS address", parameters.kms);
  const functionName = "isAppAllowed";
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args: [checked(bootInfo)] });
  const answer = await ethCall(client, {
    to: kms,
    data,
    blockNumber,
    abi: dstackKmsAbi,
    doing: "reading the boot verdict",
  });
  if (answer.revert !== undefined)
    throw new ContractRevertedError({ contract: kms, functionName, reason: answer.revert.reason });
  try {
    const [isAllowed, reason] = decodeFunctionResult({ abi: dstackKmsAbi, functionName, data: answer.data });
    return { isAllowed, reason };
  } catch {
    await requireCode(client, { address: kms, blockNumber });
    throw new ContractRevertedError({ contract: kms, functionName, reason: "it does not answer like a DstackKms" });
  }
}

function checked(bootInfo: BootInfo): BootInfo {
  return {
    ...bootInfo,
    instanceId: parseFixedHex("instanceId", bootInfo.instanceId, 20),
    mrAggregated: parseFixedHex("mrAggregated", bootInfo.mrAggregated, 32),
    mrSystem: parseFixedHex("mrSystem", bootInfo.mrSystem, 32),
    osImageHash: parseFixedHex("osImageHash", bootInfo.osImageHash, 32),
  };
}
