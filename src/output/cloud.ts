import type { MockCloudEvent } from "../mock-cloud/events.ts";
import type { Output } from "./output.ts";

/** The same call again within this time counts as polling. */
const pollPauseMs = 5000;

export interface CloudOutputOptions {
  /** Also prints the requests. Leave it off if the report already prints them. @default false */
  readonly requests?: boolean;
}

/** Prints what the cloud does internally. Pass the result as the mock cloud's `onEvent`. */
export function createCloudOutput(
  output: Output,
  { requests = false }: CloudOutputOptions = {},
): (event: MockCloudEvent) => void {
  const lastShown = new Map<string, number>();
  return (event) => {
    switch (event.type) {
      case "request": {
        const call = `${event.method} ${event.path} ${event.status}`;
        // Polling repeats the same request and mostly gets the same answer.
        const isPoll = performance.now() - (lastShown.get(call) ?? Number.NEGATIVE_INFINITY) < pollPauseMs;
        lastShown.set(call, performance.now());
        if (!requests || isPoll) return;
        output.detail(`HTTP ${event.status}`, `${event.method} ${event.path}`, event.durationMs);
        return;
      }
      case "registration.judged":
        output.detail("cloud: receipt", `${event.status} ${event.message}`);
        return;
      case "finality.awaited":
        output.detail("cloud: finality", `${event.cvmId} waits until its registration is ${event.tag}`);
        return;
      case "finality.judged":
        output.detail("cloud: finality", `${event.verdict}: ${event.message}`);
        return;
      case "operation.started":
        output.detail("cloud: CVM stopped", `${event.kind} ${event.cvmId}, correlation id ${event.correlationId}`);
        return;
      case "boot.judged":
        output.detail("cloud: boot verdict", `${event.verdict}${event.reason && `: ${event.reason}`}`);
        return;
      case "operation.finished":
        output.detail("cloud: CVM started", `${event.outcome}${event.failure === null ? "" : `: ${event.failure}`}`);
    }
  };
}
