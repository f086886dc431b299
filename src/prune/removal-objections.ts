import type { CloudClient } from "../cloud/create-client.ts";
import { safeGetAppCvms } from "../cloud/get-app-cvms.ts";
import { type AppId, type ComposeHash, type DeviceId, nameOfCvm } from "../core/ids.ts";
import type { RemovalObjection } from "../errors/index.ts";
import { readCloudUse, unknownCloudUse } from "./read-cloud-use.ts";

export interface AppInCloud {
  readonly appId: AppId;
  readonly chainId: number;
  /** Undefined without an API key. */
  readonly cloud: CloudClient | undefined;
  /** Compose hashes that the configuration pins. */
  readonly pins: readonly ComposeHash[];
}

/**
 * Reasons not to remove these hashes: CVMs that run them or move to them, prepared updates that wait for them, pins,
 * and facts that the cloud does not tell.
 *
 * @throws CloudError, WrongChainError
 */
export async function findHashObjections(
  { appId, chainId, cloud, pins }: AppInCloud,
  composeHashes: readonly ComposeHash[],
): Promise<readonly RemovalObjection[]> {
  if (composeHashes.length === 0) return [];
  const { running, movingTo, prepared, unknowns } =
    cloud === undefined
      ? unknownCloudUse("there is no API key.")
      : await readCloudUse(cloud, { appId, chainId, composeHashes });
  const isRemoved = ({ composeHash }: { readonly composeHash: ComposeHash }) => composeHashes.includes(composeHash);
  const inUse = (problem: string): RemovalObjection => ({ acceptAs: "in-use", problem });
  return [
    ...pins
      .filter((composeHash) => isRemoved({ composeHash }))
      .map((composeHash) => ({ acceptAs: "pinned", problem: `The configuration pins ${composeHash}.` })),
    ...running
      .filter(isRemoved)
      .map(({ composeHash, cvm }) =>
        inUse(`CVM ${nameOfCvm(cvm)} (${cvm.status}) uses ${composeHash}. Its next boot would be refused.`),
      ),
    ...movingTo
      .filter(isRemoved)
      .map(({ composeHash, cvm }) => inUse(`The cloud is updating CVM ${nameOfCvm(cvm)} to ${composeHash}.`)),
    ...prepared
      .filter(isRemoved)
      .map(({ composeHash, cvm, expiresAt }) =>
        inUse(`A prepared update of CVM ${nameOfCvm(cvm)} needs ${composeHash} until ${expiresAt}.`),
      ),
    ...unknowns
      .filter(({ kind }) => kind === "running-hashes" || kind === "prepare-tokens")
      .map(({ kind, problem }) => ({ acceptAs: kind, problem })),
  ];
}

/**
 * Reasons not to bar devices: the app's CVMs on them, running or stopped, and devices that the cloud does not tell.
 *
 * @throws what `isBarred` throws
 */
export async function findDeviceObjections(
  { appId, cloud }: Pick<AppInCloud, "appId" | "cloud">,
  isBarred: (deviceId: DeviceId) => Promise<boolean>,
): Promise<readonly RemovalObjection[]> {
  if (cloud === undefined) return [unknown("there is no API key.")];
  const cvms = await safeGetAppCvms(cloud, { appId });
  if (!cvms.success) return [unknown(cvms.error.message)];
  const objections = await Promise.all(
    cvms.data.map(async ({ deviceId, ...cvm }): Promise<RemovalObjection[]> => {
      if (deviceId === undefined) return [unknown(`the cloud does not report the device of ${nameOfCvm(cvm)}.`)];
      if (!(await isBarred(deviceId))) return [];
      const problem = `CVM ${nameOfCvm(cvm)} (${cvm.status}) is on device ${deviceId}. Its next boot would be refused.`;
      return [{ acceptAs: "in-use", problem }];
    }),
  );
  return objections.flat();
}

function unknown(why: string): RemovalObjection {
  return { acceptAs: "running-devices", problem: `The devices of the app's CVMs are not known: ${why}` };
}
