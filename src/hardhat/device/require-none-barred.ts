import { safeGetAppCvms } from "../../cloud/get-app-cvms.ts";
import { type DeviceId, nameOfCvm } from "../../core/ids.ts";
import { DeviceNeededError, type RemovalObjection } from "../../errors/index.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";

/** What `--waive` takes where fewer devices are let in. */
export const barringWaivers = ["in-use", "running-devices", "no-effect"] as const;

export type BarringWaiver = (typeof barringWaivers)[number];

interface Objection extends RemovalObjection {
  readonly waiver: BarringWaiver;
}

/**
 * Returns if none of the app's CVMs, running or stopped, is on a device that will be barred, and the cloud says where
 * they are; or else if it was waived by name.
 *
 * @throws DeviceNeededError, RpcUnavailableError
 */
export async function requireNoneBarred(
  app: ConnectedApp,
  isBarred: (deviceId: DeviceId) => Promise<boolean>,
  waivers: ReadonlySet<BarringWaiver>,
): Promise<void> {
  const objections = await findObjections(app, isBarred);
  const standing = objections.filter(({ waiver }) => !waivers.has(waiver));
  if (standing.length > 0) throw new DeviceNeededError(standing);
}

async function findObjections(
  { appId, cloud }: ConnectedApp,
  isBarred: (deviceId: DeviceId) => Promise<boolean>,
): Promise<readonly Objection[]> {
  if (cloud === undefined) return [unknown("there is no API key.")];
  const cvms = await safeGetAppCvms(cloud, { appId });
  if (!cvms.success) return [unknown(cvms.error.message)];
  const objections = await Promise.all(
    cvms.data.map(async ({ deviceId, ...cvm }): Promise<Objection[]> => {
      if (deviceId === undefined) return [unknown(`the cloud does not say it of ${nameOfCvm(cvm)}.`)];
      if (!(await isBarred(deviceId))) return [];
      const problem = `CVM ${nameOfCvm(cvm)}, ${cvm.status}, is on device ${deviceId}: its next boot would be refused.`;
      return [{ waiver: "in-use", problem }];
    }),
  );
  return objections.flat();
}

function unknown(why: string): Objection {
  return { waiver: "running-devices", problem: `Nobody knows which devices the app's CVMs are on: ${why}` };
}
