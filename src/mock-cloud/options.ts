import type { Transport } from "viem";
import { InvalidArgumentError } from "../errors/index.ts";
import type { Clock } from "./clock.ts";
import type { EventListener } from "./events.ts";
import type { PageGuardOptions } from "./http/page-guard.ts";

export interface ApiKeySeed {
  readonly key: string;
  readonly username?: string;
  readonly email?: string;
}

export interface WorkspaceSeed {
  readonly name: string;
  /** @default the name, as a slug */
  readonly slug?: string;
  readonly apiKeys: readonly ApiKeySeed[];
}

interface KmsSeedBase {
  /** Names the KMS in URLs, such as `kms-base-1`. Its id is `kms_` and the hash of the slug. */
  readonly slug: string;
  readonly url?: string;
  readonly version?: string;
  readonly gatewayAppId?: string;
  /**
   * 32 bytes of hex. The keys of the KMS and of every app are derived from it. It is in memory only, so give the same
   * one at every start. By default it is derived from the slug: enough for a mock, but not secret.
   */
  readonly rootSecret?: string;
}

export interface OffChainKmsSeed extends KmsSeedBase {
  readonly chainId?: undefined;
}

export const finalities = ["latest", "safe", "finalized"] as const;

/** The block tag that must reach a registration before the cloud rolls the update over. */
export type Finality = (typeof finalities)[number];

/** @throws InvalidArgumentError */
export function parseFinality(name: string, raw: string | undefined): Finality | undefined {
  const known = finalities.find((finality) => finality === raw);
  if (raw === undefined || known !== undefined) return known;
  throw new InvalidArgumentError(`${name} must be latest, safe or finalized.`, {
    nextStep: "See how the node of the chain uses these block tags.",
  });
}

/** A KMS whose policy is a DstackKms contract. `rpc` is the backend's own connection to the chain. It is not stored. */
export interface OnChainKmsSeed extends KmsSeedBase {
  readonly chainId: number;
  readonly contractAddress: string;
  readonly rpc: string | Transport;
  /** URL of the same chain for clients on this machine. It is shown only if it is a loopback URL. @default `rpc` */
  readonly localRpcUrl?: string;
  /** For updates of CVMs of this KMS. @default the cloud's `finality` */
  readonly finality?: Finality | undefined;
}

export type KmsSeed = OffChainKmsSeed | OnChainKmsSeed;

export interface NodeSeed {
  readonly id: number;
  readonly name: string;
  /** SHA-256 of the machine's PPID, 32 bytes of hex. */
  readonly deviceId: string;
  readonly region?: string;
  /** @default "UpToDate" */
  readonly tcbStatus?: string;
  readonly advisoryIds?: readonly string[];
  /** Capacity for CVMs. @default more than a test needs */
  readonly capacity?: { readonly vcpu: number; readonly memoryMb: number; readonly cvmSlots: number };
}

export interface OsImageSeed {
  readonly name: string;
  readonly version: string;
  readonly osImageHash: string;
  readonly isDev?: boolean;
}

/**
 * A CVM that runs elsewhere. The cloud takes it over as it is: nothing boots. The values of its environment are unknown,
 * so its guest has none here. Its document names the variables that it allows.
 */
export interface CvmSeed {
  /** Such as `cvm_8fR2kQ`. A CVM that the cloud has, or had, under this id is left as it is. */
  readonly id: string;
  /** @default a random one, as of `instanceId` */
  readonly vmUuid?: string | undefined;
  readonly instanceId?: string | undefined;
  readonly name: string;
  readonly appId: string;
  /** Slug of its KMS. */
  readonly kms: string;
  /** Name of the node that it runs on. */
  readonly node: string;
  /** Name of the OS image that it boots. */
  readonly osImage: string;
  /** The exact text of its app-compose document. */
  readonly composeFile: string;
  /** The hash that it runs. It must be the SHA-256 of `composeFile`. */
  readonly composeHash: string;
  /** @default "running" */
  readonly status?: "running" | "stopped" | undefined;
  /** @default the smallest instance type, with 40 GB of disk */
  readonly resource?:
    | { readonly instanceType: string; readonly vcpu: number; readonly memoryMb: number; readonly diskGb: number }
    | undefined;
  /** Address of the account that deployed its app. */
  readonly deployerAddress?: string | undefined;
}

/** The objects that the cloud starts with. Seeding the same object again updates it, except a CVM. */
export interface MockCloudSeed {
  readonly workspaces?: readonly WorkspaceSeed[];
  readonly kms?: readonly KmsSeed[];
  readonly nodes?: readonly NodeSeed[];
  readonly osImages?: readonly OsImageSeed[];
  /** In the first workspace. */
  readonly cvms?: readonly CvmSeed[];
}

export interface MockCloudOptions extends MockCloudSeed, PageGuardOptions {
  /**
   * The URL at which clients and browsers reach this cloud. The cloud uses it for links in its answers. It has no path,
   * such as `https://cloud.example`.
   *
   * @default the address that the server listens on
   */
  readonly publicUrl?: string | undefined;
  /**
   * Allows `phala login`, which returns an API key of the first workspace. Every login is approved at once, so every
   * client that reaches the port gets a key.
   *
   * @default false
   */
  readonly deviceLogin?: boolean | undefined;
  /**
   * Allows webhooks to call addresses that are not public: private networks, link-local addresses (where clouds serve
   * machine credentials) and similar ones. Loopback and public addresses are always allowed.
   *
   * @default false
   */
  readonly privateWebhooks?: boolean | undefined;
  /** A file that keeps all state across restarts. In memory by default. */
  readonly stateFile?: string;
  /** The base of the cloud's own clock, which `advance` moves ahead of it. @default real time */
  readonly clock?: Clock;
  /** Called before the cloud's time moves, to move other clocks, such as a chain's, first. The cloud waits for it. */
  readonly onAdvance?: (milliseconds: number) => Promise<void> | void;
  /** Called before a snapshot is taken, to keep other state under the same id. The cloud waits for it. */
  readonly onSnapshot?: (id: string) => Promise<void> | void;
  /**
   * Called before the cloud returns to a snapshot, while no work runs. If it fails, the cloud keeps its current state.
   */
  readonly onRestore?: (id: string) => Promise<void> | void;
  /**
   * Opens `/admin/…` on the cloud's port: clock, faults, snapshots, placement of CVMs. Callers must be on this machine
   * and send the key, of at least 16 characters, as `X-Admin-Key`. Without this option these endpoints do not exist.
   */
  readonly admin?: { readonly key: string };
  /**
   * How final the registration of a new document must be before an update rolls over, on the KMS's chain. The CVM runs
   * its old document until then. A new CVM is created at once.
   *
   * @default "latest"
   */
  readonly finality?: Finality | undefined;
  /** How long a CVM is down during a rollover. @default 1000 */
  readonly rolloverMs?: number;
  /** Pause before the boot gate asks again after a chain gave no answer. @default 1000 */
  readonly bootRetryMs?: number;
  /** Pause before the cloud looks again whether a registration is final. A look costs six calls. @default 4000 */
  readonly finalityPollMs?: number;
  /**
   * How often, and with which pause, a missing receipt is read again before it counts as missing.
   *
   * @default 5 × 300 ms
   */
  readonly receiptAttempts?: number;
  readonly receiptRetryMs?: number;
  /** Time limit for the answer of a webhook's target, in real time. @default 10_000 */
  readonly webhookTimeoutMs?: number;
  /** Time limit for running requests to finish before a snapshot or restore, in real time. @default 10_000 */
  readonly drainMs?: number;
  readonly onEvent?: EventListener;
}
