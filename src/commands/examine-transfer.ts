import { type Address, isAddress, zeroAddress } from "viem";
import type { OwnerCall } from "../core/owner-calls.ts";
import { examineOwner } from "../governance/examine-owner.ts";
import type { ExaminedAccount, OwnerExamination } from "../governance/examined-owner.ts";
import { requireOwnerFit } from "../governance/owner-rules.ts";
import { describeExamined } from "../output/format.ts";
import type { ConnectedApp } from "./connect-app.ts";
import { resolveKms } from "./connect-kms.ts";
import { showFindings } from "./lint.ts";
import type { TaskIo } from "./run.ts";

/**
 * If the calls transfer the ownership of an app, examines the new owner, and shows it with what is doubtful. Returns
 * undefined for other calls, and for a transfer to the zero address, which withdraws an offer.
 *
 * @throws LintRefusedError for errors whose rule the user did not accept by name
 * @throws what examineOwner throws
 */
export async function examineTransfer(
  { output, signal }: Pick<TaskIo, "output" | "signal">,
  app: ConnectedApp,
  { calls, accepted }: { readonly calls: readonly OwnerCall[]; readonly accepted: ReadonlySet<string> },
): Promise<OwnerExamination | undefined> {
  const newOwner = newOwnerOf(calls);
  if (newOwner === undefined) return undefined;
  const { client, appId } = app;
  const examined = await examineOwner(client, { contract: appId, newOwner, kms: resolveKms({}, app), signal });
  const { findings } = examined;
  requireOwnerFit(findings, accepted);
  output.line(`new owner  ${describeExamined(examined.newOwner)}`);
  for (const line of examined.isTwoStep ? twoSteps : oneStep) output.line(line);
  const told = findings.filter(({ severity }) => severity !== "note");
  if (told.length > 0) showFindings(output, told, accepted);
  return examined;
}

function newOwnerOf(calls: readonly OwnerCall[]): Address | undefined {
  const [newOwner] = calls.find(({ functionName }) => functionName === "transferOwnership")?.args ?? [];
  const isNamed = typeof newOwner === "string" && isAddress(newOwner, { strict: false });
  return isNamed && newOwner !== zeroAddress ? newOwner : undefined;
}

const twoSteps = [
  "Two steps: the new owner must accept. Until then the current owner stays the owner and can withdraw the offer.",
];
const oneStep = [
  "ONE STEP: this contract has no two-step transfers. The transfer takes effect immediately and cannot be reversed.",
  "If the new owner cannot sign, no account can ever change this app again.",
];

/** The command with which the new owner accepts, as lines. Owners that are not a key accept by a plan. */
export function howToAccept(
  { appId, network }: Pick<ConnectedApp, "appId" | "network">,
  { kind }: ExaminedAccount,
): readonly string[] {
  const accept = `  next    npx hardhat dstack owner accept --app ${appId} --network ${network}`;
  if (kind === "eoa") return ["The new owner accepts it with its key:", accept];
  return ["The new owner is a contract, so it accepts by a plan:", `${accept} --plan accept.json`];
}
