import type { StepResults, UpdateEvent } from "../update/events.ts";
import type { Payment } from "../update/ports.ts";
import { describeWarnings } from "../update/run.ts";
import { formatDuration } from "./format.ts";
import type { Output } from "./output.ts";
import { formatFee, formatGas, showPrice } from "./price.ts";
import { showSenderEvent } from "./transactions.ts";

/**
 * Prints the steps of an update as they happen. Pass the result as `onStep`.
 *
 * @param told gets the remarks that were printed
 */
export function createUpdateOutput(output: Output, told: Set<string> = new Set()): (event: UpdateEvent) => void {
  let lastCall = "";
  return (event) => {
    if (event.kind !== "http") lastCall = "";
    switch (event.kind) {
      case "http": {
        const call = `${event.method} ${event.path} ${event.status ?? "no answer"}`;
        // Polling repeats the same request and mostly gets the same answer.
        if (call !== lastCall)
          output.detail(`HTTP ${event.status ?? "–"}`, `${event.method} ${event.path}`, event.durationMs);
        lastCall = call;
        return;
      }
      case "transaction":
        if (event.event.kind !== "underpriced") showSenderEvent(output, event.event); // the offer to replace it says so
        return;
      case "awaitingFinality": {
        const { blockNumber, tag, typicalMs } = event;
        output.detail("", `the cloud waits until block ${blockNumber} is ${tag}, usually ${formatDuration(typicalMs)}`);
        return;
      }
      case "preparingAgain":
        output.line(`  ! ${"prepare again".padEnd(22)} ${preparedAgain}`);
        return;
      case "finished":
        if (event.step === "pay") {
          for (const payment of event.result.payments)
            output.step(payment.step, describePayment(payment), event.durationMs);
          return;
        }
        output.step(titles[event.step], describe(event), event.durationMs);
        if (event.step === "readChain" && event.result.price !== undefined) showPrice(output, event.result.price);
        for (const [what, text] of remarksOf(event)) {
          told.add(text);
          output.line(`  ! ${what.padEnd(22)} ${text}`);
        }
    }
  };
}

const preparedAgain =
  "The cloud no longer has the prepared update: it was used, has expired, or a newer one replaced it. The same change is prepared again.";

type FinishedEvent = Extract<UpdateEvent, { kind: "finished" }>;

type OneLineEvent = Exclude<FinishedEvent, { step: "pay" }>;

const titles: Readonly<Record<OneLineEvent["step"], string>> = {
  readCvm: "read CVM",
  buildDocument: "build app-compose",
  proveDocument: "check document",
  encryptEnvironment: "encrypt environment",
  patch: "ask for the update",
  checkHash: "compare hashes",
  readChain: "read allowlist",
  findTransaction: "find transaction",
  confirm: "confirm",
  followRollover: "roll over",
  awaitFinality: "await finality",
};

function describe(event: OneLineEvent): string {
  switch (event.step) {
    case "readCvm":
      return `${event.result.status}, compose hash ${event.result.composeHash ?? "unknown"}`;
    case "buildDocument":
      return event.result.isUnchanged ? `${event.result.composeHash}, unchanged` : event.result.composeHash;
    case "proveDocument":
      return describeProof(event.result);
    case "encryptEnvironment":
      return `${event.result.names.join(", ") || "no variable"}, for app ${event.result.appId}`;
    case "patch":
      return event.result.answer === "accepted"
        ? "accepted, no hash to register"
        : `465: register ${event.result.composeHash}`;
    case "checkHash":
      return event.result.isMismatchAccepted ? "differs, accepted explicitly" : "the cloud computed the same hash";
    case "readChain": {
      const { composeHashAllowed, deviceAllowed, planned, caveat } = event.result;
      const caution = caveat === null ? "" : ` (CAUTION: ${caveat})`;
      return `hash ${allowed(composeHashAllowed)}, device ${allowed(deviceAllowed)}; to send: ${planned.join(", ") || "nothing"}${caution}`;
    }
    case "findTransaction":
      return event.result.transactionHash === "already-registered"
        ? "none needed: the app allowed the hash before"
        : event.result.transactionHash;
    case "confirm":
      return `verified by the cloud${event.result.correlationId === undefined ? "" : `, correlation id ${event.result.correlationId}`}`;
    case "followRollover":
      return `${event.result.status}, compose hash ${event.result.composeHash ?? "unknown"}`;
    case "awaitFinality":
      return `stage ${event.result.until} reached`;
  }
}

function describeProof({ proof, composeHash, form }: StepResults["proveDocument"]): string {
  if (proof === "none") return "not allowed by the app, accepted explicitly";
  if (proof === "requested-hash") return "the requested one has the hash that was proven";
  return `allowed by the app: ${composeHash} (form ${form})`;
}

/** Information the user should see before the next step, each with a heading. */
function remarksOf(event: FinishedEvent): (readonly [what: string, text: string])[] {
  switch (event.step) {
    case "buildDocument":
      return describeWarnings(event.result).map((text) => ["warning", text] as const);
    case "proveDocument":
      return describeWarnings({ documentProof: event.result.proof }).map((text) => ["warning", text] as const);
    case "encryptEnvironment":
      return [
        ...(event.result.names.length === 0
          ? [["warning", "Every variable is removed; their values cannot be recovered."] as const]
          : []),
        ...describeWarnings({ ...event.result, keyProof: event.result.proof }).map(
          (text) => ["warning", text] as const,
        ),
      ];
    case "readChain":
      return event.result.newDevice === undefined
        ? []
        : [["will allow device", `${event.result.newDevice}, named by the cloud`]];
    default:
      return [];
  }
}

function describePayment({ transactionHash, blockNumber, gasUsed, costWei, isFromRecord }: Payment): string {
  const origin = isFromRecord ? ", sent by an earlier run" : "";
  return `${transactionHash}, block ${blockNumber}, ${formatGas(gasUsed)}, ${formatFee(costWei)}${origin}`;
}

function allowed(isAllowed: boolean): string {
  return isAllowed ? "allowed" : "not allowed";
}
