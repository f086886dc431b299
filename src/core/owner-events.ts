import { type Abi, type Address, isAddressEqual } from "viem";
import { decodeLog, type EventLog } from "./events.ts";
import {
  abiOf,
  callsInOperation,
  isSameValue,
  type OwnedContract,
  type OwnerCall,
  ownedContractAbis,
} from "./owner-calls.ts";
import { readRequest } from "./timelock-calls.ts";

/** A contract whose events count. */
export interface WatchedContract {
  readonly contract: OwnedContract;
  readonly address: Address;
}

/** An event that a call must cause. */
export interface ExpectedEvent {
  readonly address: Address;
  /** Accepted names. Versions of the contract differ. */
  readonly eventNames: readonly string[];
  /** Arguments that must match. */
  readonly args: Readonly<Record<string, unknown>>;
  /** Position of the call that causes it. */
  readonly position: number;
}

/** An event that shows that an owner, or an account with a role, changed something. */
export interface OwnerEvent {
  readonly address: Address;
  readonly eventName: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly logIndex: number;
}

export interface OwnerLog extends EventLog {
  readonly logIndex: number;
}

/** Events that no owner causes, or that accompany another event. */
const otherEvents: ReadonlySet<string> = new Set([
  ...["AppDeployedViaFactory", "AppRegistered", "CallSalt", "Initialized", "PolicyChanged", "RoleGranted"],
]);

/** The contracts of the calls, and of the calls inside a timelock's operation. */
export function watchedContracts(calls: readonly OwnerCall[]): readonly WatchedContract[] {
  const all = calls.flatMap((call) => [call, ...callsInOperation(call)]);
  return all
    .map(({ contract, to }) => ({ contract, address: to }))
    .filter((one, index, list) => list.findIndex(({ address }) => isAddressEqual(address, one.address)) === index);
}

/**
 * The events that these calls cause, in their order. A call of a timelock causes one event for each call of its
 * operation. `owner` is the new owner after a call of `acceptOwnership`; if it is absent, any is accepted.
 */
export function expectedEvents(calls: readonly OwnerCall[], owner: Address | undefined): readonly ExpectedEvent[] {
  return calls.flatMap((call, position) => eventsOfCall(call, owner).map((event) => ({ ...event, position })));
}

function eventsOfCall(call: OwnerCall, owner: Address | undefined): Omit<ExpectedEvent, "position">[] {
  const { contract, to: address, functionName, proof } = call;
  const request = contract === "timelock" ? readRequest(functionName, call.args) : undefined;
  if (request === undefined || request.kind === "cancel") {
    const isAccepting = functionName === "acceptOwnership" && owner !== undefined;
    const args = isAccepting ? { ...proof.args, newOwner: owner } : proof.args;
    return [{ address, eventNames: proof.eventNames, args }];
  }
  const inner = callsInOperation(call);
  return request.operation.calls.flatMap(({ to, data }, index) => {
    const args = { id: request.id, index: BigInt(index), target: to, data };
    const own = { address, eventNames: proof.eventNames, args };
    const called = inner[index];
    // The timelock logs a call after the called contract.
    return request.kind === "schedule" || called === undefined ? [own] : [...eventsOfCall(called, address), own];
  });
}

/**
 * The owner events among these logs, in the order of the logs. Any contract can log the same topics, so only logs of the
 * given contracts count, decoded byte for byte.
 */
export function ownerEvents(logs: readonly OwnerLog[], contracts: readonly WatchedContract[]): readonly OwnerEvent[] {
  return logs
    .toSorted((one, other) => one.logIndex - other.logIndex)
    .flatMap((log) => {
      const source = contracts.find(({ address }) => isAddressEqual(address, log.address));
      const event = source && decodeLog<Abi>(ownedContractAbis[source.contract], log);
      if (event?.eventName === undefined || otherEvents.has(event.eventName)) return [];
      const { eventName, args } = event;
      return [{ address: log.address, eventName, args: { ...args }, logIndex: log.logIndex }];
    });
}

/** Whether this is the expected event. */
export function isExpected(event: OwnerEvent, { address, eventNames, args }: Omit<ExpectedEvent, "position">): boolean {
  if (!isAddressEqual(event.address, address) || !eventNames.includes(event.eventName)) return false;
  return Object.entries(args).every(([name, value]) => isSameValue(event.args[name], value));
}

export interface EventComparison<Event extends OwnerEvent> {
  /** Expected events that are not among the seen ones. */
  readonly missing: readonly ExpectedEvent[];
  /** Seen events that no call of the plan causes. */
  readonly extra: readonly Event[];
  /** The seen events that were expected, with the position of their call. */
  readonly found: readonly { readonly event: Event; readonly position: number }[];
  readonly isInOrder: boolean;
}

/** Compares the seen events with the expected ones. Each seen event stands for one expected event. */
export function compareEvents<Event extends OwnerEvent>(
  expected: readonly ExpectedEvent[],
  seen: readonly Event[],
): EventComparison<Event> {
  const extra = [...seen];
  const missing: ExpectedEvent[] = [];
  const found: { event: Event; position: number }[] = [];
  for (const one of expected) {
    const index = extra.findIndex((event) => isExpected(event, one));
    const [event] = index === -1 ? [] : extra.splice(index, 1);
    if (event === undefined) missing.push(one);
    else found.push({ event, position: one.position });
  }
  const isInOrder = found.every(({ event }, index) => event.logIndex >= (found[index - 1]?.event.logIndex ?? 0));
  return { missing, extra, found, isInOrder };
}

/** "ComposeHashAdded(0x…) of 0x…" */
export function describeEvent(event: Pick<OwnerEvent, "address" | "args"> & { readonly eventName: string }): string {
  return `${event.eventName}(${Object.values(event.args).join(", ")}) of ${event.address}`;
}

/** Whether the event shows that another call took back what this call did. */
export function isUndoneBy(call: OwnerCall, event: OwnerEvent): boolean {
  if (!isAddressEqual(call.to, event.address)) return false;
  const opposites: Readonly<Record<string, string>> = { Added: "Removed", Removed: "Added" };
  return call.proof.eventNames.some((name) => {
    const opposite = name.replace(/(Added|Removed)$/, (end) => opposites[end] ?? end);
    if (opposite !== name) return event.eventName === opposite && hasArguments(event, call.proof.args);
    const isSwitch = abiOf(call).some((item) => item.type === "event" && item.name === name && isBoolean(item.inputs));
    return isSwitch && event.eventName === name && !hasArguments(event, call.proof.args);
  });
}

function hasArguments(event: OwnerEvent, args: OwnerCall["proof"]["args"]): boolean {
  return Object.entries(args).every(([name, value]) => isSameValue(event.args[name], value));
}

function isBoolean(inputs: readonly { readonly type: string }[]): boolean {
  return inputs.length === 1 && inputs[0]?.type === "bool";
}
