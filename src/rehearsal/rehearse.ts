import type { Address } from "viem";
import { readOwnership } from "../chain/read-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import type { AppId } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import type { LocalChainClient } from "../world/chain/client.ts";
import { isAllowed, readBootTable } from "./boot-verdicts.ts";
import { executeAsOwner } from "./execute-as-owner.ts";
import type { ExecutionContext, KeyBatch } from "./execution-context.ts";
import { readMachines, rebootCvms } from "./reboot.ts";
import {
  type ForkedChain,
  judgeRehearsal,
  type RehearsalFacts,
  type RehearsalReport,
  type RehearsedPhase,
} from "./report.ts";
import type { LiveFees, RehearsedStep } from "./step.ts";

/** Where a rehearsal happens: a development chain, and the mock cloud that reads it. */
export interface RehearsalStage {
  readonly client: LocalChainClient;
  /** A client of the mock cloud. */
  readonly cloud: CloudClient;
  /** Resolves once the mock cloud has no operation left. */
  readonly whenIdle: () => Promise<void>;
  /** Moves the clocks of both. */
  readonly advance: ExecutionContext["advance"];
  /** The fees of the live chain. */
  readonly fees: LiveFees;
  /** The live chain, whose block is the state before the change. */
  readonly chain: ForkedChain;
}

export interface RehearsePhaseParameters extends Partial<Pick<RehearsedPhase, "title" | "isLive">> {
  readonly plan: ChangePlan;
  readonly batch?: KeyBatch | undefined;
  readonly proposer?: Address | undefined;
  readonly onStep?: ((step: RehearsedStep) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Executes a plan as its owner, as one part of a rehearsal. @throws as executeAsOwner */
export async function rehearsePhase(
  { client, fees, advance }: RehearsalStage,
  { plan, title = "The plan", isLive = true, ...parameters }: RehearsePhaseParameters,
): Promise<RehearsedPhase> {
  const execution = await executeAsOwner(client, { plan, fees, advance, ...parameters });
  const changes = plan.changes.map(({ call: { description, to }, reason }) => ({ description, to, reason }));
  return { title, isLive, owner: plan.owner, changes, execution };
}

/** What the work of a rehearsal returns. */
export type RehearsedWork = Pick<RehearsalFacts, "refusals" | "phases"> &
  Partial<Pick<RehearsalFacts, "updates" | "warnings" | "limits">> & {
    readonly plan: ChangePlan | undefined;
    /** Every call of the live change, for the boot table. */
    readonly calls: readonly OwnerCall[];
  };

export interface RehearseParameters {
  readonly subject: string;
  /** The app whose boots are judged. Undefined for a change of a KMS alone. */
  readonly appId: AppId | undefined;
  readonly kms: Address | undefined;
  /** The account that must make the change, before it. */
  readonly owner: ReadOwnerReturnType;
  /** What is known to be wrong with the stage, in sentences. */
  readonly warnings?: readonly string[] | undefined;
  /** What is known not to be shown, in sentences. */
  readonly limits?: readonly string[] | undefined;
  /** Lists the app's CVMs in the mock cloud. */
  readonly listCvms: () => Promise<readonly Cvm[]>;
  /** Plans and executes. */
  readonly work: () => Promise<RehearsedWork>;
}

/**
 * Rehearses a change of an app: reads which machines it has, lets the change happen, asks the contracts again, restarts
 * every CVM, and judges the whole.
 *
 * @throws what `work` throws, RpcUnavailableError, CloudError
 */
export async function rehearse(
  stage: RehearsalStage,
  { subject, appId, kms, owner, warnings: known = [], limits: knownLimits = [], listCvms, work }: RehearseParameters,
): Promise<RehearsalReport> {
  const { client, cloud, chain, whenIdle } = stage;
  const readAll = async () => readMachines(cloud, appId === undefined ? [] : await listCvms());
  const before = await readAll();
  const { plan, refusals, phases, calls, updates = [], warnings = [], limits = [] } = await work();
  const { machines: cvmsAfter } = await readAll();
  const isChanged = phases.some(({ execution }) => execution.steps.length > 0);
  const boots =
    appId === undefined
      ? []
      : await readBootTable(client, {
          ...{ appId, kms, calls, cvmsAfter, cvmsBefore: before.machines, blockBefore: chain.blockNumber },
        });
  const reboots = isChanged ? await rebootCvms(cloud, { cvms: cvmsAfter, whenIdle }) : [];
  const stranded = boots.filter(({ runsBefore, before }) => runsBefore.length > 0 && !isAllowed(before));
  return judgeRehearsal({
    ...{ subject, chain, appId, kms, owner, refusals, phases, boots, reboots, updates },
    plan: plan && { digest: plan.digest, task: plan.task },
    ownerAfter: isChanged && appId !== undefined ? await readAppOwner(client, appId) : undefined,
    warnings: [
      ...known,
      ...stranded.map(
        ({ runsBefore, before }) =>
          `${runsBefore.join(", ")} could not boot before the change either: ${(before.kms ?? before.app).reason}.`,
      ),
      ...before.unknown.map(
        (name) => `The cloud does not tell the hash, device or OS image of ${name}, so its boot was not judged.`,
      ),
      ...warnings,
    ],
    limits: [
      `The chain is the one of block ${chain.blockNumber}. What later blocks change is not known.`,
      ...(appId === undefined
        ? [kmsAlone]
        : before.machines.length === 0
          ? [noCvm]
          : reboots.length > 0
            ? [mockCloud]
            : []),
      ...knownLimits,
      ...limits,
    ],
  });
}

async function readAppOwner(client: LocalChainClient, appId: AppId): Promise<ReadOwnerReturnType> {
  const { owner } = await readOwnership(client, { appId });
  return readOwner(client, { address: owner });
}

const kmsAlone =
  "The plan names no app, so no boot was judged: a KMS decides about the boots of every app that is registered there.";
const noCvm = "No CVM is known, so no boot was judged: give an API key of the cloud, or a file of CVMs.";
const mockCloud =
  "A mock cloud restarted the CVMs, not the real one. TCB status UpToDate was assumed, and the values of environments are not known.";
