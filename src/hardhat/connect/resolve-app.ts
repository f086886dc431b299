import type { Address } from "viem";
import { parseAddress } from "../../chain/client.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import { getCvm } from "../../cloud/get-cvm.ts";
import { type AppId, type ComposeHash, type DeviceId, parseAppId } from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { DstackConfig } from "../type-extensions.ts";
import { requireCloud } from "./connect-cloud.ts";

export interface AppArguments {
  /** `0x…`, `app_…` or a name of the configuration. */
  readonly app?: string | undefined;
  /** Name or id in the cloud. */
  readonly cvm?: string | undefined;
}

export interface AppTarget {
  readonly appId: AppId;
  /** Its name in the configuration. */
  readonly alias: string | undefined;
  /** Name or id of its CVM, where one is known. */
  readonly cvm: string | undefined;
  /** Network of the configuration. */
  readonly network: string | undefined;
  readonly pins: readonly ComposeHash[];
  /** Those the configuration lists; undefined if it lists none for this app. */
  readonly devices: readonly DeviceId[] | undefined;
  /** As the cloud states it of the CVM; the chain must be asked before it is trusted. */
  readonly chainId: number | undefined;
  /** As the cloud states it of the CVM. */
  readonly kms: Address | undefined;
}

export interface ResolveAppParameters {
  readonly apps: DstackConfig["apps"];
  readonly cloud: CloudClient | undefined;
}

/**
 * Which app a command is about: `--app`, the app behind `--cvm`, or the only one of the configuration. Where both are
 * given and the cloud can be asked, they must agree.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError
 */
export async function resolveApp(args: AppArguments, { apps, cloud }: ResolveAppParameters): Promise<AppTarget> {
  if (args.cvm === undefined) return named(args.app, apps);
  const chosen = args.app === undefined ? undefined : named(args.app, apps);
  if (chosen !== undefined && cloud === undefined) return { ...chosen, cvm: args.cvm };
  const cvm = await getCvm(requireCloud(cloud, `for the app of ${args.cvm}`), { cvm: args.cvm });
  if (cvm.appId === undefined || cvm.kmsContractAddress === undefined) {
    throw new InvalidArgumentError(`${args.cvm} has no app contract: its KMS keeps its policy off chain.`, {
      nextStep: "Name a CVM whose KMS is on a chain.",
      context: { cvm: args.cvm },
    });
  }
  requireSameApp(args.cvm, cvm.appId, chosen?.appId ?? cvm.appId);
  return { ...(chosen ?? known(cvm.appId, apps)), cvm: args.cvm, chainId: cvm.chainId, kms: cvm.kmsContractAddress };
}

/** What one app's CVM has says nothing about another app. @throws InvalidArgumentError */
export function requireSameApp(cvm: string, itsApp: AppId | undefined, wanted: AppId): void {
  if (itsApp === wanted) return;
  throw new InvalidArgumentError(`${cvm} is a CVM of app ${itsApp ?? "none"}, and the command is about ${wanted}.`, {
    nextStep: "Name a CVM of the app, or leave --app out.",
    context: { cvm, itsApp, wanted },
  });
}

function named(raw: string | undefined, apps: DstackConfig["apps"]): AppTarget {
  const names = Object.keys(apps);
  const among = names.length === 0 ? "" : `one of ${names.join(", ")}, `;
  const nextStep = `Give --app ${among}0x… or app_…, or --cvm NAME.`;
  const [only] = names;
  const name = raw ?? (names.length === 1 ? only : undefined);
  if (name === undefined) throw new InvalidArgumentError("No app was named.", { nextStep, context: { apps: names } });
  const app = Object.hasOwn(apps, name) ? apps[name] : undefined;
  if (app !== undefined) return target(app.address, name, apps);
  if (/^0x/i.test(name)) return known(parseAppId(parseAddress("The app's address", name)), apps);
  if (/^app_/.test(name) || /^[0-9a-f]{40}$/i.test(name)) return known(parseAppId(name), apps);
  throw new InvalidArgumentError(`The configuration has no app named ${name}.`, { nextStep, context: { apps: names } });
}

function known(appId: AppId, apps: DstackConfig["apps"]): AppTarget {
  const [alias] = Object.entries(apps).find(([, { address }]) => address === appId) ?? [];
  return target(appId, alias, apps);
}

function target(appId: AppId, alias: string | undefined, apps: DstackConfig["apps"]): AppTarget {
  const app = alias === undefined ? undefined : apps[alias];
  // An app may have several names; what one of them pins stays, whichever is used.
  const entries = Object.values(apps).filter(({ address }) => address === appId);
  const pins = entries.flatMap((one) => one.pins);
  const lists = entries.flatMap(({ devices }) => (devices === undefined ? [] : [devices]));
  return {
    appId,
    alias,
    cvm: app?.cvm,
    network: app?.network,
    pins: [...new Set(pins)],
    devices: lists.length === 0 ? undefined : [...new Set(lists.flat())],
    chainId: undefined,
    kms: undefined,
  };
}
