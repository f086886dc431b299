import { type AppId, type ComposeHash, nameOfCvm } from "../core/ids.ts";
import type { Output } from "../output/output.ts";
import type { CvmReference } from "../prune/allowlist-use.ts";
import type { CloudUse } from "../prune/read-cloud-use.ts";

/** A CVM that uses a named hash. */
export interface RevokedCvm extends CvmReference {
  readonly composeHash: ComposeHash;
  /**
   * `stopped`: it does not run. `stopping`: the cloud accepted the stop. `left`: it still runs, or may run: see
   * `status`. `failed`: the cloud did not accept the stop. `waits`: its hash is still allowed.
   */
  readonly action: "stopped" | "stopping" | "left" | "failed" | "waits";
  readonly problem?: string | undefined;
}

export interface RevokeResult {
  readonly hashes: readonly {
    readonly composeHash: ComposeHash;
    /**
     * `allowed`: nothing was removed, or others must still execute the removal. `removedBefore`: this project had
     * revoked it, and it is removed.
     */
    readonly outcome: "removed" | "removedBefore" | "notAllowed" | "allowed";
  }[];
  readonly note: string | null;
  readonly cvms: readonly RevokedCvm[];
  readonly movingTo: CloudUse["movingTo"];
  readonly prepared: CloudUse["prepared"];
  readonly unknowns: CloudUse["unknowns"];
}

const sentences: Readonly<Record<RevokedCvm["action"], string>> = {
  stopped: "is stopped, and cannot boot with this hash.",
  stopping: "is still stopping. Look again with dstack status.",
  left: "STILL RUNS this hash, and keeps its keys until it restarts.",
  failed: "STILL RUNS this hash: the cloud did not stop it.",
  waits: "uses this hash, which is still allowed.",
};

/** Only the cloud says whether a CVM runs, and a CVM that is starting or has failed may do so. */
function describeAction({ action, status }: RevokedCvm): string {
  const mayRun = (action === "left" || action === "failed") && status !== "running";
  return mayRun ? `is ${status}, so it MAY RUN this hash.` : sentences[action];
}

interface Shown {
  /** Whether `--plan` was given. */
  readonly isPlan: boolean;
  readonly network: string;
  readonly appId: AppId;
  readonly isDryRun: boolean;
  /** Whether `--stop` was given. */
  readonly isStopping: boolean;
  /** The revision that a CVM can go back to, by the CVM's id. */
  readonly previous: ReadonlyMap<string, string>;
}

/** Shows what became of each hash and of its CVMs, with the commands that come next. */
export function showRevoked(output: Output, result: RevokeResult, shown: Shown): void {
  const { hashes, note, cvms, movingTo, prepared, unknowns } = result;
  const { isPlan, network, appId, isDryRun, isStopping, previous } = shown;
  output.line("");
  for (const { composeHash, outcome } of hashes) {
    output.line(`${composeHash} ${(isDryRun ? inDryRun : outcomes)[outcome]}`);
    for (const cvm of cvms.filter((one) => one.composeHash === composeHash))
      output.line(`  CVM ${nameOfCvm(cvm)} ${describeAction(cvm)}`);
    for (const { cvm } of movingTo.filter((one) => one.composeHash === composeHash))
      output.line(`  The cloud is updating CVM ${nameOfCvm(cvm)} to it.`);
    for (const { cvm, expiresAt } of prepared.filter((one) => one.composeHash === composeHash))
      output.line(`  A prepared update of CVM ${nameOfCvm(cvm)} needs it until ${expiresAt}.`);
  }
  if (note !== undefined && note !== null) output.line(`Note: ${note}`);
  const isOpen = hashes.some(({ outcome }) => outcome === "allowed");
  if (isPlan && !isOpen) output.line("There is nothing to remove, so no plan was written.");
  const again = `npx hardhat dstack hash revoke ${hashes.map((one) => one.composeHash).join(" ")} --app ${appId} --network ${network}`;
  if (isOpen && !isDryRun) {
    output.line("");
    if (isStopping) output.line("No CVM was stopped, because the removal is not executed.");
    const does = isStopping ? "stops" : "shows";
    output.line(`When the owner has executed the removal, run this. It ${does} the CVMs that still run the hash:`);
    output.line(`  ${again}${isStopping ? " --stop" : ""}`);
  }
  const revoked = cvms.filter(({ action }) => action !== "waits");
  if (revoked.length > 0) showWaysOut(output, revoked, { appId, network, previous });
  if (!isDryRun && revoked.some(({ action }) => action === "left" || action === "failed")) {
    output.line("To stop a CVM that still runs:");
    output.line(`  ${again} --stop`);
  }
  if (revoked.some(({ action }) => action === "stopped"))
    output.line("A stopped CVM stays stopped after that. Start it in the cloud.");
  if (unknowns.length > 0) {
    output.line("\nIt is not known which CVMs run a revoked hash:");
    for (const { problem } of unknowns) output.line(`  ${problem}`);
  }
}

const outcomes: Readonly<Record<RevokeResult["hashes"][number]["outcome"], string>> = {
  removed: "is revoked: this run removed it.",
  removedBefore: "is revoked: it was removed before.",
  notAllowed: "is not allowed, so there is nothing to remove.",
  allowed: "IS STILL ALLOWED.",
};
const inDryRun: typeof outcomes = { ...outcomes, allowed: "is allowed, and would be removed." };

/** The commands that move CVMs away from a revoked hash. */
function showWaysOut(
  output: Output,
  cvms: readonly RevokedCvm[],
  { appId, network, previous }: Pick<Shown, "appId" | "network" | "previous">,
): void {
  const update = (id: string) => {
    // The cloud chose the id. A command line must not contain another command.
    const name = /^[\w-]+$/.test(id) ? id : "CVM";
    return `  npx hardhat dstack update --app ${appId} --cvm ${name} --network ${network}`;
  };
  const known = cvms.flatMap(({ id }) => {
    const revision = previous.get(id);
    return revision !== undefined && /^[\w-]+$/.test(revision) ? [`${update(id)} --revision ${revision} --wait`] : [];
  });
  if (known.length > 0) output.line("\nTo move back to the newest revision that is allowed and not revoked:");
  for (const line of known) output.line(line);
  output.line(`${known.length > 0 ? "To" : "\nTo"} move to a new compose file:`);
  for (const { id } of cvms) output.line(`${update(id)} --compose FILE --accept unproven-document --wait`);
  output.line("The app no longer allows the document that this update starts from, so it is accepted by name.");
}
