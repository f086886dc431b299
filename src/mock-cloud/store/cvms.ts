import type { AppId, ComposeHash, Hex } from "../../core/ids.ts";
import type { Database } from "./database.ts";
import type { NodeCapacity } from "./platform.ts";

/** The settings of a CVM that the owner may change, besides the compose document and the environment. */
export interface CvmSettings {
  readonly instanceType: string;
  readonly vcpu: number;
  readonly memoryMb: number;
  readonly diskGb: number;
  readonly osImage: string;
  readonly listed: boolean;
  readonly userConfig: string | null;
  /** Seconds that a guest has for its shutdown. */
  readonly shutdownTimeout: number | null;
  readonly allowForceStop: boolean | null;
  readonly gpus: Gpus | null;
}

export interface Gpus {
  readonly count: number;
  readonly productName: string | null;
}

/** What a CVM runs: its document (byte for byte), the hash of those bytes, its encrypted environment, its settings. */
export interface Workload {
  readonly composeText: string;
  readonly composeHash: ComposeHash;
  readonly encryptedEnv: string | null;
  readonly settings: CvmSettings;
}

/** An idle CVM is `running`, `stopped` or in `error`. `error` means that it should run but could not boot. */
export type CvmStatus =
  | "creating"
  | "running"
  | "updating"
  | "starting"
  | "stopping"
  | "restarting"
  | "stopped"
  | "error";

export interface Cvm extends Workload {
  readonly id: number;
  readonly hashid: string;
  readonly vmUuid: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly appId: AppId;
  readonly instanceId: Hex;
  readonly kmsId: string;
  readonly nodeId: number;
  /** The node that the CVM moves to at its next rollover. */
  readonly nextNodeId: number | null;
  /** The nonce that its app id was derived from, if the caller chose one. */
  readonly appNonce: number | null;
  readonly status: CvmStatus;
  readonly bootError: string | null;
  readonly deployerAddress: Hex | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Used capacity of one node. */
export interface NodeUsage extends NodeCapacity {
  readonly nodeId: number;
}

type CvmRow = Omit<Cvm, "settings"> & { readonly settings: string };

const columns = `id, hashid, vm_uuid AS "vmUuid", workspace_id AS "workspaceId", name, app_id AS "appId",
  instance_id AS "instanceId", kms_id AS "kmsId", node_id AS "nodeId", next_node_id AS "nextNodeId",
  app_nonce AS "appNonce", status, boot_error AS "bootError",
  compose_text AS "composeText", compose_hash AS "composeHash", encrypted_env AS "encryptedEnv", settings,
  deployer_address AS "deployerAddress", created_at AS "createdAt", updated_at AS "updatedAt"`;

export class Cvms {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  insert(cvm: Omit<Cvm, "id">): Cvm {
    const id = this.#database.run(
      `INSERT INTO cvm (hashid, vm_uuid, workspace_id, name, app_id, instance_id, kms_id, node_id, next_node_id,
         app_nonce, status, boot_error, compose_text, compose_hash, encrypted_env, settings, deployer_address, created_at, updated_at)
       VALUES (:hashid, :vmUuid, :workspaceId, :name, :appId, :instanceId, :kmsId, :nodeId, :nextNodeId,
         :appNonce, :status, :bootError, :composeText, :composeHash, :encryptedEnv, :settings, :deployerAddress, :createdAt, :updatedAt)`,
      { ...cvm, settings: JSON.stringify(cvm.settings) },
    );
    return { ...cvm, id };
  }

  /** Also finds a deleted CVM. The methods below do not. */
  get(id: number): Cvm {
    const cvm = this.#first("id = :id", { id });
    if (!cvm) throw new Error(`There is no CVM ${id}.`);
    return cvm;
  }

  find(id: number): Cvm | undefined {
    return this.#first("deleted_at IS NULL AND id = :id", { id });
  }

  findHashid(hashid: string): Cvm | undefined {
    return this.#first("deleted_at IS NULL AND hashid = :hashid", { hashid });
  }

  /** Also finds a deleted CVM. */
  findHashidEver(hashid: string): Cvm | undefined {
    return this.#first("hashid = :hashid", { hashid });
  }

  withId(workspaceId: string, id: number): Cvm[] {
    return this.#ofWorkspace(workspaceId, this.find(id));
  }

  withHashid(workspaceId: string, hashid: string): Cvm[] {
    return this.#ofWorkspace(workspaceId, this.findHashid(hashid));
  }

  /** In any workspace. */
  findUuid(vmUuid: string): Cvm | undefined {
    return this.#first("deleted_at IS NULL AND vm_uuid = :vmUuid", { vmUuid });
  }

  withUuid(workspaceId: string, vmUuid: string): Cvm[] {
    return this.#where("workspace_id = :workspaceId AND vm_uuid = :vmUuid", { workspaceId, vmUuid });
  }

  withAppId(workspaceId: string, appId: Hex): Cvm[] {
    return this.#where("workspace_id = :workspaceId AND app_id = :appId", { workspaceId, appId });
  }

  withInstanceId(workspaceId: string, instanceId: Hex): Cvm[] {
    return this.#where("workspace_id = :workspaceId AND instance_id = :instanceId", { workspaceId, instanceId });
  }

  withName(workspaceId: string, name: string): Cvm[] {
    return this.#where("workspace_id = :workspaceId AND name = :name", { workspaceId, name });
  }

  inWorkspace(workspaceId: string): Cvm[] {
    return this.#where("workspace_id = :workspaceId", { workspaceId });
  }

  /** In all workspaces, because an app id belongs to one app in the whole cloud. */
  ofApp(appId: AppId): Cvm[] {
    return this.#where("app_id = :appId", { appId });
  }

  setStatus(id: number, status: CvmStatus, bootError: string | null, updatedAt: number): void {
    this.#database.run(
      "UPDATE cvm SET status = :status, boot_error = :bootError, updated_at = :updatedAt WHERE id = :id",
      { id, status, bootError, updatedAt },
    );
  }

  setWorkload(id: number, workload: Workload): void {
    const { composeText, composeHash, encryptedEnv, settings } = workload;
    this.#database.run(
      `UPDATE cvm SET compose_text = :composeText, compose_hash = :composeHash, encrypted_env = :encryptedEnv,
         settings = :settings WHERE id = :id`,
      { id, composeText, composeHash, encryptedEnv, settings: JSON.stringify(settings) },
    );
  }

  /** For a setting that the guest does not see. */
  setListed(id: number, listed: boolean, updatedAt: number): void {
    this.#database.run(
      "UPDATE cvm SET settings = json_set(settings, '$.listed', json(:listed)), updated_at = :updatedAt WHERE id = :id",
      { id, listed: String(listed), updatedAt },
    );
  }

  /** Sets the node for the next rollover. Null cancels a move. */
  setNextNode(id: number, nextNodeId: number | null): void {
    this.#database.run("UPDATE cvm SET next_node_id = :nextNodeId WHERE id = :id", { id, nextNodeId });
  }

  /** Records that the CVM runs on this node. A newer planned move stays. */
  setNode(id: number, nodeId: number): void {
    this.#database.run(
      "UPDATE cvm SET node_id = :nodeId, next_node_id = nullif(next_node_id, :nodeId) WHERE id = :id",
      { id, nodeId },
    );
  }

  /** Capacity that the CVMs use on each node. */
  usage(): NodeUsage[] {
    return this.#database.all(
      `SELECT node_id AS "nodeId", count(*) AS "cvmSlots", sum(settings ->> 'vcpu') AS "vcpu",
         sum(settings ->> 'memoryMb') AS "memoryMb" FROM cvm WHERE deleted_at IS NULL GROUP BY node_id`,
    );
  }

  /** One more than the highest nonce of the workspace's app ids. */
  nextAppNonce(workspaceId: string): number {
    const row = this.#database.first<{ next: number }>(
      "SELECT coalesce(max(app_nonce) + 1, 0) AS next FROM cvm WHERE workspace_id = :workspaceId",
      { workspaceId },
    );
    return row?.next ?? 0;
  }

  /** Marks the CVM as deleted: most reads skip it from now on, and its name is free again. */
  delete(id: number, deletedAt: number): void {
    this.#database.run("UPDATE cvm SET deleted_at = :deletedAt WHERE id = :id", { id, deletedAt });
  }

  #ofWorkspace(workspaceId: string, cvm: Cvm | undefined): Cvm[] {
    return cvm?.workspaceId === workspaceId ? [cvm] : [];
  }

  /** For conditions that at most one row meets. */
  #first(condition: string, parameters: Record<string, string | number>): Cvm | undefined {
    const row = this.#database.first<CvmRow>(`SELECT ${columns} FROM cvm WHERE ${condition}`, parameters);
    return row && toCvm(row);
  }

  #where(condition: string, parameters: Record<string, string | number>): Cvm[] {
    const sql = `SELECT ${columns} FROM cvm WHERE deleted_at IS NULL AND ${condition} ORDER BY id`;
    return this.#database.all<CvmRow>(sql, parameters).map(toCvm);
  }
}

function toCvm(row: CvmRow): Cvm {
  return { ...row, settings: JSON.parse(row.settings) };
}
