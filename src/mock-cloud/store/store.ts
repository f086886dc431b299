import { Cvms } from "./cvms.ts";
import { Database, type StoreContent } from "./database.ts";
import { Operations } from "./operations.ts";
import { PendingUpdates } from "./pending-updates.ts";
import { Platform } from "./platform.ts";
import { PreparedInstances } from "./prepared-instances.ts";
import { DeviceLogins, Provisions, Settings, SshKeys } from "./small-tables.ts";
import { Webhooks } from "./webhooks.ts";
import { Workspaces } from "./workspaces.ts";

/** All data of the cloud: one repository per kind of record, in one database. */
export interface Store {
  readonly workspaces: Workspaces;
  readonly platform: Platform;
  readonly cvms: Cvms;
  readonly provisions: Provisions;
  readonly pendingUpdates: PendingUpdates;
  readonly operations: Operations;
  readonly preparedInstances: PreparedInstances;
  readonly sshKeys: SshKeys;
  readonly deviceLogins: DeviceLogins;
  readonly settings: Settings;
  readonly webhooks: Webhooks;
  transaction<Result>(work: () => Result): Result;
  /**
   * Calls `notify` after the outermost transaction commits, or at once outside one. After a rollback it is not called.
   */
  afterCommit(notify: () => void): void;
  dump(): StoreContent;
  /** Replaces all rows or none, in one transaction. */
  load(content: StoreContent): void;
  close(): void;
}

/** @param path a file, or `:memory:` */
export function openStore(path: string): Store {
  const database = new Database(path);
  return {
    workspaces: new Workspaces(database),
    platform: new Platform(database),
    cvms: new Cvms(database),
    provisions: new Provisions(database),
    pendingUpdates: new PendingUpdates(database),
    operations: new Operations(database),
    preparedInstances: new PreparedInstances(database),
    sshKeys: new SshKeys(database),
    deviceLogins: new DeviceLogins(database),
    settings: new Settings(database),
    webhooks: new Webhooks(database),
    transaction: (work) => database.transaction(work),
    afterCommit: (notify) => database.afterCommit(notify),
    dump: () => database.dump(),
    load: (content) => database.load(content),
    close: () => database.close(),
  };
}
