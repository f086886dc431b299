import {
  type Abi,
  type Address,
  encodeFunctionData,
  getAbiItem,
  type Hex,
  keccak256,
  numberToHex,
  pad,
  slice,
  stringToHex,
} from "viem";
import type { AppAnswer, AppQuestion } from "../core/app-questions.ts";
import type { AppId } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import { upgradeCall } from "../core/owner-calls.ts";
import { type ImplementationFacts, implementationSlot, type SimulatedUpgrade } from "../core/upgrade-rules.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { ethCall } from "./calls.ts";
import type { ChainClient } from "./client.ts";
import { readCode } from "./code.ts";
import { generationCalls, takeGeneration } from "./generation.ts";
import { requestHex } from "./rpc-errors.ts";
import { revertReasonOf, type SequenceCall, type SequenceResult, simulateSequence } from "./simulate-sequence.ts";

export interface SimulateUpgradeParameters {
  readonly appId: AppId;
  readonly owner: Address;
  readonly implementation: Address;
  /** Calls before the change. The first deploys the implementation, if it does not exist yet. */
  readonly opening: readonly SequenceCall[];
  /** The owner's upgrade. Or the deployment of the app. */
  readonly change: SequenceCall;
  readonly questions: readonly AppQuestion[];
  /** Initialisers of the contract, which no account may be able to call afterwards, besides the known ones. */
  readonly initializers: readonly NamedCall[];
  readonly blockNumber: bigint;
}

/** A call with its name for people. */
export interface NamedCall {
  readonly name: string;
  readonly data: Hex;
}

export interface SimulateUpgradeReturnType {
  readonly implementation: ImplementationFacts;
  /** Undefined if the endpoint cannot simulate it; `problem` then says why. */
  readonly outcome: SimulatedChange | undefined;
  readonly problem: string | undefined;
}

export interface SimulatedChange extends Omit<SimulatedUpgrade, "changed"> {
  /** The answers to the questions before and after the change. None if it reverts. */
  readonly before: readonly AppAnswer[];
  readonly after: readonly AppAnswer[];
}

/** Questions in one request: more could exceed the node's gas limit for calls. */
const questionsAtOnce = 300;

/**
 * Lets the node carry out the upgrade (or the deployment) of an app without sending it, and asks before and after it
 * what the app allows, who may call its functions, and whether the owner can. If the endpoint cannot do that, only the
 * implementation's own answers are read.
 *
 * @throws RpcUnavailableError
 */
export async function simulateUpgrade(
  client: ChainClient,
  parameters: SimulateUpgradeParameters,
): Promise<SimulateUpgradeReturnType> {
  const { owner, implementation, opening, change, blockNumber, questions, initializers } = parameters;
  const doing = "simulating the upgrade";
  const run = (calls: readonly SequenceCall[]) => simulateSequence(client, { from: owner, calls, blockNumber, doing });
  const [code, slot] = await Promise.all([
    readCode(client, { address: implementation, blockNumber }),
    requestHex(client, "reading the implementation's own storage", {
      method: "eth_getStorageAt",
      params: [implementation, implementationSlot, numberToHex(blockNumber)],
    }),
  ]);
  const place = { address: implementation, isProxy: BigInt(slot) !== 0n };
  const attempts = attemptsOf(parameters);
  const probes = probesOf(implementation, initializers);
  const { results, problem } = await run([...opening, ...probes, change, ...attempts.map(({ call }) => call)]);
  if (results === undefined) {
    const answers = await readAlone(client, probes, blockNumber);
    const facts = toFacts(answers, { ...place, hasCode: code !== "0x" }, initializers);
    return { implementation: facts, outcome: undefined, problem };
  }
  const [opened, probed] = [results.slice(0, opening.length), results.slice(opening.length)];
  const hasCode = code !== "0x" || opened[0]?.isSuccess === true;
  const facts = toFacts(probed, { ...place, hasCode }, initializers);
  const [changed, ...attempted] = probed.slice(probes.length);
  const revert = changed?.isSuccess === true ? undefined : revertReasonOf(changed ?? { isSuccess: false, data: "0x" });
  const before: AppAnswer[] = [];
  const after: AppAnswer[] = [];
  for (let start = 0; revert === undefined && start < questions.length; start += questionsAtOnce) {
    const asked = questions.slice(start, start + questionsAtOnce);
    const { results: answers = [] } = await run([...asked, ...opening, change, ...asked]);
    before.push(...answers.slice(0, asked.length).map(toAnswer));
    after.push(...answers.slice(-asked.length).map(toAnswer));
  }
  const outcome = { revert, before, after, ...judgeAttempts(attempts, attempted) };
  return { implementation: facts, outcome, problem: undefined };
}

/**
 * Asks the questions at a block, one by one, as the contracts are.
 *
 * @throws RpcUnavailableError
 */
export async function readAnswers(
  client: ChainClient,
  { questions, owner, blockNumber }: Pick<SimulateUpgradeParameters, "questions" | "owner" | "blockNumber">,
): Promise<readonly AppAnswer[]> {
  const answers: AppAnswer[] = [];
  for (let start = 0; start < questions.length; start += questionsAtOnce) {
    const calls = questions.slice(start, start + questionsAtOnce);
    const doing = "asking what the app allows";
    const { results } = await simulateSequence(client, { from: owner, calls, blockNumber, doing });
    answers.push(...(results ?? (await readAlone(client, calls, blockNumber))).map(toAnswer));
  }
  return answers;
}

function toAnswer({ isSuccess, data }: SequenceResult): AppAnswer {
  return isSuccess ? data : undefined;
}

/** Without replaced code: plain calls. They cannot build on each other. */
async function readAlone(
  client: ChainClient,
  calls: readonly SequenceCall[],
  blockNumber: bigint,
): Promise<readonly SequenceResult[]> {
  return mapLimited(
    calls,
    async ({ to, data, from }) => {
      const answer = await ethCall(client, { to, data, from, blockNumber, abi: dstackAppAbi, doing: "probing" });
      return answer.revert === undefined ? { isSuccess: true, data: answer.data } : { isSuccess: false, data: "0x" };
    },
    { limit: 8 },
  );
}

const abi = dstackAppAbi;
const hash = (text: string) => keccak256(stringToHex(`dstack-toolkit upgrade simulation: ${text}`));
/** An account without a key, which must not be able to change the app. */
const stranger: Address = slice(hash("stranger"), 0, 20);
/** A value that no app allows. */
const probe = hash("value");
const yes = pad("0x01");
const no = pad("0x00");

const isManageable: Hex = encodeFunctionData({ abi, functionName: "supportsInterface", args: ["0x8fd37527"] });

/** Questions to the implementation itself. `toFacts` reads the answers in this order. */
function probesOf(to: Address, initializers: readonly NamedCall[]): readonly SequenceCall[] {
  const views: readonly Hex[] = [
    encodeFunctionData({ abi, functionName: "proxiableUUID" }),
    isManageable,
    encodeFunctionData({ abi: dstackKmsAbi, functionName: "appImplementation" }),
    encodeFunctionData({ abi, functionName: "allowAnyDevice" }),
    ...generationCalls,
  ];
  const asStranger = initializersOf(initializers).map(({ data }) => ({ to, data, from: stranger }));
  return [...views.map((data) => ({ to, data })), ...asStranger];
}

function toFacts(
  answers: readonly SequenceResult[],
  place: Pick<ImplementationFacts, "address" | "hasCode" | "isProxy">,
  initializers: readonly NamedCall[],
): ImplementationFacts {
  const words = answers.map(({ isSuccess, data }) => (isSuccess ? data : undefined));
  const [proxiableUuid, manageable, ofKms, ofApp] = words;
  const isWord = (word: Hex | undefined) => word !== undefined && word.length === 66;
  const ends = 4 + generationCalls.length;
  const named = initializersOf(initializers);
  return {
    ...place,
    proxiableUuid: isWord(proxiableUuid) ? proxiableUuid : undefined,
    isKms: isWord(ofKms) && !isWord(ofApp),
    isManageable: manageable === yes,
    generation: takeGeneration(words.slice(0, ends)),
    openInitializers: named.filter((_, index) => answers[ends + index]?.isSuccess).map(({ name }) => name),
  };
}

/** The initialisers of DstackApp, with the stranger as owner, and those of the contract. */
function initializersOf(more: readonly NamedCall[]): readonly NamedCall[] {
  const six = encodeFunctionData({ abi, functionName: "initialize", args: [stranger, false, false, false, no, no] });
  const five = encodeFunctionData({ abi, functionName: "initialize", args: [stranger, false, false, no, no] });
  return [{ name: "initialize", data: six }, { name: "initialize", data: five }, ...more].filter(
    ({ data }, index, all) => all.findIndex((one) => one.data === data) === index,
  );
}

/** A call after the upgrade, and the result that the app must give. */
interface Attempt {
  readonly name: string;
  readonly call: SequenceCall;
  /** A word: what a view must return. */
  readonly must: "revert" | "succeed" | Hex;
}

function attemptsOf({ appId: to, implementation, initializers }: SimulateUpgradeParameters): readonly Attempt[] {
  const again = upgradeCall({ appId: to, implementation }).data;
  const call = (functionName: OneWordFunction, arg: unknown) => ({
    name: functionName,
    data: encode(functionName, arg),
  });
  const mutators: readonly NamedCall[] = [
    { name: "upgradeToAndCall", data: again },
    call("addComposeHash", probe),
    call("removeComposeHash", probe),
    call("addDevice", probe),
    call("removeDevice", probe),
    call("setAllowAnyDevice", true),
    call("setRequireTcbUpToDate", true),
    { name: "disableUpgrades", data: encodeFunctionData({ abi, functionName: "disableUpgrades" }) },
    call("transferOwnership", stranger),
    { name: "renounceOwnership", data: encodeFunctionData({ abi, functionName: "renounceOwnership" }) },
    ...initializersOf(initializers),
  ];
  const closed = mutators.map(
    ({ name, data }): Attempt => ({ name, call: { to, data, from: stranger }, must: "revert" }),
  );
  const change = (functionName: OneWordFunction, arg: unknown, view: Hex, expected: Hex): readonly Attempt[] => [
    { name: functionName, call: { to, data: encode(functionName, arg) }, must: "succeed" },
    { name: `the view after ${functionName}`, call: { to, data: view }, must: expected },
  ];
  const listed = (functionName: "allowedComposeHashes" | "allowedDeviceIds") =>
    encodeFunctionData({ abi, functionName, args: [probe] });
  const anyDevice = encodeFunctionData({ abi, functionName: "allowAnyDevice" });
  return [
    ...closed,
    { name: "upgradeToAndCall", call: { to, data: again }, must: "succeed" },
    ...change("addComposeHash", probe, listed("allowedComposeHashes"), yes),
    ...change("removeComposeHash", probe, listed("allowedComposeHashes"), no),
    ...change("addDevice", probe, listed("allowedDeviceIds"), yes),
    ...change("removeDevice", probe, listed("allowedDeviceIds"), no),
    ...change("setAllowAnyDevice", true, anyDevice, yes),
    ...change("setAllowAnyDevice", false, anyDevice, no),
  ];
}

type OneWordFunction =
  | "addComposeHash"
  | "removeComposeHash"
  | "addDevice"
  | "removeDevice"
  | "setAllowAnyDevice"
  | "setRequireTcbUpToDate"
  | "transferOwnership";

function encode(functionName: OneWordFunction, arg: unknown): Hex {
  return encodeFunctionData({ abi: [getAbiItem({ abi, name: functionName })] as Abi, functionName, args: [arg] });
}

function judgeAttempts(
  attempts: readonly Attempt[],
  results: readonly SequenceResult[],
): Pick<SimulatedUpgrade, "open" | "broken" | "canUpgradeAgain"> {
  const outcomes = attempts.map(({ name, call, must }, index) => {
    const { isSuccess, data } = results[index] ?? { isSuccess: false, data: "0x" as const };
    const isAsWanted = must === "revert" ? !isSuccess : isSuccess && (must === "succeed" || data === must);
    const problem = isSuccess ? `${name} is wrong` : `${name} reverts`;
    return { name, ofStranger: call.from !== undefined, isAsWanted, problem };
  });
  const failed = outcomes.filter(({ isAsWanted }) => !isAsWanted);
  const ofOwner = failed.filter(({ ofStranger }) => !ofStranger);
  return {
    open: [...new Set(failed.filter(({ ofStranger }) => ofStranger).map(({ name }) => name))],
    broken: ofOwner.filter(({ name }) => name !== "upgradeToAndCall").map(({ problem }) => problem),
    canUpgradeAgain: !ofOwner.some(({ name }) => name === "upgradeToAndCall"),
  };
}
