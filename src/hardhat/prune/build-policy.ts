import type { ComposeHash } from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { defaultKeep, type Pin, type PruneFacts, type PrunePolicy } from "../../prune/facts.ts";
import { findMentions, type QueuedDocument } from "../../prune/queued.ts";
import type { PruneSettings } from "./parse-arguments.ts";

export interface BuildPolicyParameters {
  readonly settings: PruneSettings;
  /** Of the configuration. */
  readonly pins: readonly ComposeHash[];
  readonly documents: readonly QueuedDocument[];
  readonly facts: Pick<PruneFacts, "allowed">;
  /** Of the plan that is carried out: its own policy counts, and more may be kept. */
  readonly planned: PrunePolicy | undefined;
}

/**
 * What the operator wants kept, by command line, configuration and plan.
 *
 * @throws InvalidArgumentError for a pin or a bare hash that is not on the list: whoever typed it believes it protected
 */
export function buildPolicy({ settings, documents, facts, planned, ...config }: BuildPolicyParameters): PrunePolicy {
  const allowed = facts.allowed.map(({ composeHash }) => composeHash);
  const pins: Pin[] = [
    ...(planned?.pins ?? []),
    ...config.pins.map((composeHash) => ({ composeHash, source: "the configuration" })),
    ...settings.pins.map((composeHash) => ({ composeHash, source: "--pin" })),
  ];
  const typo = settings.pins.find((pin) => !allowed.includes(pin));
  if (typo !== undefined) throw notListed("--pin", typo);
  const queued = documents.map(({ source, text }) => ({ source, text, composeHashes: findMentions(text, allowed) }));
  const bare = queued.find(({ text, composeHashes }) => isOneWord(text) && composeHashes.length === 0);
  if (bare !== undefined) throw notListed("--queued", bare.text);
  return {
    keep: planned?.keep ?? settings.keep ?? defaultKeep,
    olderThanSeconds: planned === undefined ? settings.olderThanSeconds : planned.olderThanSeconds,
    pins,
    queued: [...(planned?.queued ?? []), ...queued.map(({ source, composeHashes }) => ({ source, composeHashes }))],
    waived: planned?.waived ?? settings.waived,
    mayEmptyList: planned?.mayEmptyList ?? settings.mayEmptyList,
  };
}

function isOneWord(text: string): boolean {
  return /^0x[0-9a-f]{64}$/i.test(text);
}

function notListed(option: string, hash: string): InvalidArgumentError {
  return new InvalidArgumentError(`${option} names ${hash}, which is not on the app's list.`, {
    nextStep: "Copy the compose hash again. The hash of a transaction or operation says nothing about what it does.",
  });
}
