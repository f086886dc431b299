import { type Address, encodeFunctionData, type Hex, pad, parseAbi, size, slice } from "viem";
import { dstackAppAbi } from "../generated/abi.ts";

/** What a machine reports when it asks for an app's keys. */
export interface QuestionedBoot {
  readonly appId: Address;
  readonly composeHash: Hex;
  readonly instanceId: Address;
  readonly deviceId: Hex;
  readonly mrAggregated: Hex;
  readonly mrSystem: Hex;
  readonly osImageHash: Hex;
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
}

/** A view of an app, or of its KMS about it, whose answer an upgrade must not change. */
export interface AppQuestion {
  readonly to: Address;
  readonly data: Hex;
  /** The call as people write it. */
  readonly title: string;
  /** Only the first word of the answer counts: the rest is a text. */
  readonly firstWordOnly?: boolean | undefined;
  /** The answer that a contract without this view stands for. Undefined if every contract has it. */
  readonly ifMissing?: Hex | undefined;
}

export interface AppQuestionsParameters {
  readonly appId: Address;
  readonly composeHashes: readonly Hex[];
  readonly devices: readonly Hex[];
  readonly boots: readonly QuestionedBoot[];
  /** Asked about the boots too. Undefined if none is known. */
  readonly kms?: Address | undefined;
}

const zero = pad("0x00");
const abi = dstackAppAbi;
const isAppAllowedAbi = parseAbi([
  "struct AppBootInfo { address appId; bytes32 composeHash; address instanceId; bytes32 deviceId; bytes32 mrAggregated; bytes32 mrSystem; bytes32 osImageHash; string tcbStatus; string[] advisoryIds; }",
  "function isAppAllowed(AppBootInfo bootInfo) view returns (bool isAllowed, string reason)",
]);

/** Everything that the policy of an app consists of, as questions to its contract. */
export function appQuestions(parameters: AppQuestionsParameters): readonly AppQuestion[] {
  const { appId, composeHashes, devices, boots, kms } = parameters;
  const view = (functionName: "owner" | "pendingOwner" | "allowAnyDevice" | "requireTcbUpToDate") => ({
    ...{ to: appId, data: encodeFunctionData({ abi, functionName }), title: `${functionName}()` },
    ...((functionName === "pendingOwner" || functionName === "requireTcbUpToDate") && { ifMissing: zero }),
  });
  const listed = (functionName: "allowedComposeHashes" | "allowedDeviceIds", key: Hex) => ({
    ...{ to: appId, data: encodeFunctionData({ abi, functionName, args: [key] }), title: `${functionName}(${key})` },
  });
  const boot = (to: Address, who: string, info: QuestionedBoot) => ({
    to,
    data: encodeFunctionData({
      abi: isAppAllowedAbi,
      functionName: "isAppAllowed",
      args: [{ ...info, advisoryIds: [...info.advisoryIds] }],
    }),
    title: `isAppAllowed of the ${who}, for compose hash ${info.composeHash} on device ${info.deviceId}, TCB ${info.tcbStatus}`,
    firstWordOnly: true,
  });
  return [
    ...(["owner", "pendingOwner", "allowAnyDevice", "requireTcbUpToDate"] as const).map(view),
    ...composeHashes.map((key) => listed("allowedComposeHashes", key)),
    ...devices.map((key) => listed("allowedDeviceIds", key)),
    ...boots.flatMap((info) => [
      boot(appId, "app", info),
      // Without an OS image, the KMS refuses before it asks the app.
      ...(kms === undefined || BigInt(info.osImageHash) === 0n ? [] : [boot(kms, "KMS", info)]),
    ]),
  ];
}

/** Undefined if the contract reverted or returned nothing: it does not have the view. */
export type AppAnswer = Hex | undefined;

export interface ChangedAnswer {
  readonly title: string;
  readonly before: AppAnswer;
  readonly after: AppAnswer;
}

/** The questions whose answers differ. */
export function changedAnswers(
  questions: readonly AppQuestion[],
  before: readonly AppAnswer[],
  after: readonly AppAnswer[],
): readonly ChangedAnswer[] {
  return questions.flatMap((question, index) => {
    const [old, now] = [essenceOf(question, before[index]), essenceOf(question, after[index])];
    const isMissingAsBefore = old === undefined && now !== undefined && now === question.ifMissing;
    return old === now || isMissingAsBefore ? [] : [{ title: question.title, before: old, after: now }];
  });
}

function essenceOf({ firstWordOnly = false }: AppQuestion, answer: AppAnswer): AppAnswer {
  if (answer === undefined || answer === "0x") return undefined;
  return firstWordOnly && size(answer) >= 32 ? slice(answer, 0, 32) : answer;
}
