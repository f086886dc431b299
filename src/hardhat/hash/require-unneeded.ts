import { type ComposeHash, nameOfCvm } from "../../core/ids.ts";
import { HashNeededError, type RemovalObjection } from "../../errors/index.ts";
import { gatherCloudFacts, nothingKnown } from "../../prune/read-cloud-use.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";

/** What `--waive` takes where hashes are removed. */
export const removalWaivers = ["in-use", "pinned", "running-hashes", "prepare-tokens", "no-effect"] as const;

export type RemovalWaiver = (typeof removalWaivers)[number];

interface Objection extends RemovalObjection {
  readonly waiver: RemovalWaiver;
}

/**
 * Returns if no CVM has one of the hashes or is on its way to it, nothing prepared waits for it and no pin keeps it,
 * and all of that is known; or else if it was waived by name.
 *
 * @throws HashNeededError, CloudError, WrongChainError
 */
export async function requireUnneeded(
  app: ConnectedApp,
  composeHashes: readonly ComposeHash[],
  waivers: ReadonlySet<RemovalWaiver>,
): Promise<void> {
  if (composeHashes.length === 0) return;
  const { appId, chainId, cloud, pins } = app;
  const { running, movingTo, prepared, unknowns } =
    cloud === undefined
      ? nothingKnown("there is no API key.")
      : await gatherCloudFacts(cloud, { appId, chainId, composeHashes });
  const isRemoved = ({ composeHash }: { readonly composeHash: ComposeHash }) => composeHashes.includes(composeHash);
  const inUse = (problem: string): Objection => ({ waiver: "in-use", problem });
  const objections: readonly Objection[] = [
    ...pins
      .filter((composeHash) => isRemoved({ composeHash }))
      .map((composeHash): Objection => ({ waiver: "pinned", problem: `The configuration pins ${composeHash}.` })),
    ...running
      .filter(isRemoved)
      .map(({ composeHash, cvm }) =>
        inUse(`CVM ${nameOfCvm(cvm)}, ${cvm.status}, has ${composeHash}: its next boot would be refused.`),
      ),
    ...movingTo
      .filter(isRemoved)
      .map(({ composeHash, cvm }) => inUse(`CVM ${nameOfCvm(cvm)} is on its way to ${composeHash}.`)),
    ...prepared
      .filter(isRemoved)
      .map(({ composeHash, cvm, expiresAt }) =>
        inUse(`An update prepared for CVM ${nameOfCvm(cvm)} waits for ${composeHash} until ${expiresAt}.`),
      ),
    ...unknowns.flatMap(({ kind, problem }) => {
      const waiver = removalWaivers.find((name) => name === kind);
      return waiver === undefined ? [] : [{ waiver, problem }];
    }),
  ];
  const standing = objections.filter(({ waiver }) => !waivers.has(waiver));
  if (standing.length > 0) throw new HashNeededError(standing);
}
