import type { MockCloudEvent } from "../../src/mock-cloud/index.ts";
import type { Paper } from "../../src/report/paper.ts";

/** Tells what the backend does on its own side while the client waits. Requests are left to the client's report. */
export function narrateCloud(paper: Paper): (event: MockCloudEvent) => void {
  return (event) => {
    switch (event.type) {
      case "registration.judged":
        paper.detail("cloud: receipt", `${event.status} ${event.message}`);
        return;
      case "operation.started":
        paper.detail("cloud: CVM down", `${event.kind} ${event.cvmId}, correlation id ${event.correlationId}`);
        return;
      case "boot.judged":
        paper.detail("cloud: boot verdict", `${event.verdict}${event.reason && `: ${event.reason}`}`);
        return;
      case "operation.finished":
        paper.detail("cloud: CVM up", `${event.outcome}${event.failure === null ? "" : `: ${event.failure}`}`);
    }
  };
}
