import type { Transport } from "viem";
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
  /** Names the KMS in URLs, such as `kms-base-1`; its id is `kms_` and the slug's hash. */
  readonly slug: string;
  readonly url?: string;
  readonly version?: string;
  readonly gatewayAppId?: string;
  /**
   * 32 bytes of hex from which the KMS's keys and every app's keys are derived. It lives in memory only, so give
   * the same one at every start. Derived from the slug by default: enough for a mock, no secret at all.
   */
  readonly rootSecret?: string;
}

export interface OffChainKmsSeed extends KmsSeedBase {
  readonly chainId?: undefined;
}

/** A KMS whose policy is a DstackKms contract. `rpc` is the backend's own way to the chain; it is not stored. */
export interface OnChainKmsSeed extends KmsSeedBase {
  readonly chainId: number;
  readonly contractAddress: string;
  readonly rpc: string | Transport;
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
  /** What it has room for. @default more than a test will ask for */
  readonly capacity?: { readonly vcpu: number; readonly memoryMb: number; readonly cvmSlots: number };
}

export interface OsImageSeed {
  readonly name: string;
  readonly version: string;
  readonly osImageHash: string;
  readonly isDev?: boolean;
}

/** What the cloud starts with. Seeding the same things again updates them. */
export interface MockCloudSeed {
  readonly workspaces?: readonly WorkspaceSeed[];
  readonly kms?: readonly KmsSeed[];
  readonly nodes?: readonly NodeSeed[];
  readonly osImages?: readonly OsImageSeed[];
}

export interface MockCloudOptions extends MockCloudSeed, PageGuardOptions {
  /**
   * Where clients and browsers reach this cloud, as its answers name it in links: a URL without a path, such as
   * `https://cloud.example`. @default the address it listens on
   */
  readonly publicUrl?: string | undefined;
  /**
   * Lets `phala login` have an API key of the first workspace. Every login is approved at once, so whoever reaches the
   * port gets a key. @default false
   */
  readonly deviceLogin?: boolean | undefined;
  /**
   * Lets webhooks call addresses of private networks, link-local ones (where clouds serve machine credentials) and the
   * like. Loopback and public addresses are always called. @default false
   */
  readonly privateWebhooks?: boolean | undefined;
  /** A file that keeps all state across restarts. In memory by default. */
  readonly stateFile?: string;
  /** What the cloud's own clock is set against; that one can be advanced besides. @default real time */
  readonly clock?: Clock;
  /** Awaited before the cloud's time is advanced, so that others, such as a chain, can be moved first. */
  readonly onAdvance?: (milliseconds: number) => Promise<void> | void;
  /** Awaited before a snapshot is taken, so that others can keep theirs under the same id. */
  readonly onSnapshot?: (id: string) => Promise<void> | void;
  /** Awaited before the cloud goes back to a snapshot, while nothing is under way. If it fails, the cloud stays. */
  readonly onRestore?: (id: string) => Promise<void> | void;
  /**
   * Opens `/admin/…` on the cloud's port: clock, faults, snapshots, placement of CVMs. Callers must come from this
   * machine and send the key, of at least 16 characters, as `X-Admin-Key`. Without it there are no such endpoints.
   */
  readonly admin?: { readonly key: string };
  /** How long a CVM is away while it changes over. @default 1000 */
  readonly rolloverMs?: number;
  /** Pause before the boot gate asks a chain again that gave no answer. @default 1000 */
  readonly bootRetryMs?: number;
  /** How often, and with which pause, a receipt is looked for before it counts as missing. @default 5 × 300 ms */
  readonly receiptAttempts?: number;
  readonly receiptRetryMs?: number;
  /** How long a webhook's target has to answer, in real time. @default 10_000 */
  readonly webhookTimeoutMs?: number;
  /** How long a snapshot or restore waits, in real time, for requests that are being answered. @default 10_000 */
  readonly drainMs?: number;
  readonly onEvent?: EventListener;
}
