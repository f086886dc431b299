import type { PaymentFacts, UpdateEvent } from "../update/events.ts";
import { describeWarnings } from "../update/run.ts";
import { formatFee, formatGas } from "./format.ts";
import type { Paper } from "./output.ts";

/** Prints the steps of an update as they happen. Pass the result as `onStep`. */
export function createUpdatePrinter(paper: Paper): (event: UpdateEvent) => void {
  let lastCall = "";
  return (event) => {
    if (event.kind !== "http") lastCall = "";
    switch (event.kind) {
      case "http": {
        const call = `${event.method} ${event.path} ${event.status ?? "no answer"}`;
        // Polling repeats the same request and mostly gets the same answer.
        if (call !== lastCall)
          paper.detail(`HTTP ${event.status ?? "–"}`, `${event.method} ${event.path}`, event.durationMs);
        lastCall = call;
        return;
      }
      case "broadcast":
        paper.detail(event.isFromRecord ? "sent again" : "sent", event.transactionHash);
        return;
      case "discarded":
        paper.detail("gave up the recorded transaction", `${event.transactionHash ?? ""} ${event.reason}`);
        return;
      case "finished":
        paper.step(titles[event.step], describe(event), event.durationMs);
        for (const [what, text] of remarksOf(event)) paper.line(`  ! ${what.padEnd(22)} ${text}`);
    }
  };
}

type FinishedEvent = Extract<UpdateEvent, { kind: "finished" }>;

const titles: Readonly<Record<FinishedEvent["step"], string>> = {
  readCvm: "read CVM",
  buildDocument: "build app-compose",
  proveDocument: "check document",
  encryptEnvironment: "encrypt environment",
  patch: "ask for the update",
  checkHash: "compare hashes",
  readChain: "read allowlist",
  addDevice: "addDevice",
  addComposeHash: "addComposeHash",
  confirm: "confirm",
  followRollover: "roll over",
};

function describe(event: FinishedEvent): string {
  switch (event.step) {
    case "readCvm":
      return `${event.facts.status}, compose hash ${event.facts.composeHash ?? "unknown"}`;
    case "buildDocument":
      return event.facts.isUnchanged ? `${event.facts.composeHash}, unchanged` : event.facts.composeHash;
    case "proveDocument":
      return event.facts.proof === "none"
        ? "not allowed by the app, accepted explicitly"
        : `allowed by the app: ${event.facts.composeHash} (form ${event.facts.form})`;
    case "encryptEnvironment":
      return `${event.facts.names.join(", ") || "no variable"}, for app ${event.facts.appId}`;
    case "patch":
      return event.facts.answer === "accepted"
        ? "accepted, no hash to register"
        : `465: register ${event.facts.composeHash}`;
    case "checkHash":
      return event.facts.isMismatchAccepted ? "differs, accepted explicitly" : "the cloud's is ours";
    case "readChain": {
      const { composeHashAllowed, deviceAllowed, planned, caveat } = event.facts;
      const caution = caveat === null ? "" : ` (CAUTION: ${caveat})`;
      return `hash ${allowed(composeHashAllowed)}, device ${allowed(deviceAllowed)}; to send: ${planned.join(", ") || "nothing"}${caution}`;
    }
    case "addDevice":
    case "addComposeHash":
      return describePayment(event.facts);
    case "confirm":
      return `verified by the cloud${event.facts.correlationId === undefined ? "" : `, correlation id ${event.facts.correlationId}`}`;
    case "followRollover":
      return `${event.facts.status}, compose hash ${event.facts.composeHash ?? "unknown"}`;
  }
}

/** Information the user should see before the next step, each with a heading. */
function remarksOf(event: FinishedEvent): (readonly [what: string, text: string])[] {
  switch (event.step) {
    case "buildDocument":
      return describeWarnings({ droppedVariables: event.facts.droppedVariables }).map(
        (text) => ["warning", text] as const,
      );
    case "proveDocument":
      return describeWarnings({ documentProof: event.facts.proof }).map((text) => ["warning", text] as const);
    case "encryptEnvironment":
      return [
        ...(event.facts.names.length === 0
          ? [["warning", "Every variable is taken away; nobody can read the values back."] as const]
          : []),
        ...describeWarnings({ keyProof: event.facts.proof, emptyNames: event.facts.emptyNames }).map(
          (text) => ["warning", text] as const,
        ),
      ];
    case "readChain":
      return event.facts.newDevice === undefined
        ? []
        : [["will allow device", `${event.facts.newDevice}, named by the cloud`]];
    default:
      return [];
  }
}

function describePayment({ transactionHash, blockNumber, gasUsed, costWei, isFromRecord }: PaymentFacts): string {
  const origin = isFromRecord ? ", on record from an earlier run" : "";
  return `${transactionHash}, block ${blockNumber}, ${formatGas(gasUsed)}, ${formatFee(costWei)}${origin}`;
}

function allowed(isAllowed: boolean): string {
  return isAllowed ? "allowed" : "not allowed";
}
