import type { KmsType } from "../../cloud/protocol.ts";
import type { DeviceId, Hex } from "../../core/ids.ts";
import type { Database } from "./database.ts";

/** A key management service. `chainId` and `contractAddress` are null if its policy is off chain. */
export interface Kms {
  readonly id: string;
  readonly slug: string;
  readonly type: KmsType;
  readonly url: string;
  readonly version: string;
  readonly chainId: number | null;
  readonly contractAddress: Hex | null;
  readonly gatewayAppId: string | null;
}

export interface Node {
  readonly id: number;
  readonly name: string;
  readonly region: string;
  /** The device id that the machine presents now. */
  readonly deviceId: DeviceId;
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
  readonly capacity: NodeCapacity;
}

export interface NodeCapacity {
  readonly vcpu: number;
  readonly memoryMb: number;
  readonly cvmSlots: number;
}

export interface OsImage {
  readonly name: string;
  readonly version: string;
  readonly osImageHash: Hex;
  readonly isDev: boolean;
}

export interface Place {
  readonly kms: Kms;
  readonly node: Node;
}

const kmsColumns = `id, slug, type, url, version, chain_id AS "chainId", contract_address AS "contractAddress",
  gateway_app_id AS "gatewayAppId"`;
const nodeColumns = `id, name, region, coalesce(drifted_device_id, device_id) AS "deviceId",
  tcb_status AS "tcbStatus", advisory_ids AS "advisoryIds", vcpu, memory_mb AS "memoryMb", cvm_slots AS "cvmSlots"`;
const osImageColumns = `name, version, os_image_hash AS "osImageHash", is_dev AS "isDev"`;

type NodeRow = Omit<Node, "advisoryIds" | "capacity"> & NodeCapacity & { readonly advisoryIds: string };
type OsImageRow = Omit<OsImage, "isDev"> & { readonly isDev: number };

/** What the cloud's operator set up: key management services, nodes and OS images. */
export class Platform {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  saveKms(kms: Kms): void {
    this.#database.run(
      `INSERT INTO kms (id, slug, type, url, version, chain_id, contract_address, gateway_app_id)
       VALUES (:id, :slug, :type, :url, :version, :chainId, :contractAddress, :gatewayAppId)
       ON CONFLICT (id) DO UPDATE SET slug = excluded.slug, type = excluded.type, url = excluded.url,
         version = excluded.version, chain_id = excluded.chain_id, contract_address = excluded.contract_address,
         gateway_app_id = excluded.gateway_app_id`,
      { ...kms },
    );
  }

  /** A changed device id stays, unless the node is saved with another original id than before. */
  saveNode({ capacity, ...node }: Node): void {
    this.#database.run(
      `INSERT INTO node (id, name, region, device_id, tcb_status, advisory_ids, vcpu, memory_mb, cvm_slots)
       VALUES (:id, :name, :region, :deviceId, :tcbStatus, :advisoryIds, :vcpu, :memoryMb, :cvmSlots)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, region = excluded.region, device_id = excluded.device_id,
         tcb_status = excluded.tcb_status, advisory_ids = excluded.advisory_ids, vcpu = excluded.vcpu,
         memory_mb = excluded.memory_mb, cvm_slots = excluded.cvm_slots,
         drifted_device_id = iif(node.device_id = excluded.device_id, node.drifted_device_id, NULL)`,
      { ...node, ...capacity, advisoryIds: JSON.stringify(node.advisoryIds) },
    );
  }

  /** Gives the machine another device id. */
  setDeviceId(nodeId: number, deviceId: DeviceId): void {
    this.#database.run("UPDATE node SET drifted_device_id = :deviceId WHERE id = :nodeId", { nodeId, deviceId });
  }

  saveOsImage(image: OsImage): void {
    this.#database.run(
      `INSERT INTO os_image (name, version, os_image_hash, is_dev) VALUES (:name, :version, :osImageHash, :isDev)
       ON CONFLICT (name) DO UPDATE SET version = excluded.version, os_image_hash = excluded.os_image_hash,
         is_dev = excluded.is_dev`,
      { ...image, isDev: image.isDev ? 1 : 0 },
    );
  }

  listKms(): Kms[] {
    return this.#database.all(`SELECT ${kmsColumns} FROM kms ORDER BY rowid`);
  }

  findKms(id: string): Kms | undefined {
    return this.#database.first(`SELECT ${kmsColumns} FROM kms WHERE id = :id`, { id });
  }

  listNodes(): Node[] {
    return this.#database.all<NodeRow>(`SELECT ${nodeColumns} FROM node ORDER BY id`).map(toNode);
  }

  findNode(id: number): Node | undefined {
    const row = this.#database.first<NodeRow>(`SELECT ${nodeColumns} FROM node WHERE id = :id`, { id });
    return row && toNode(row);
  }

  /** The KMS and the node of a CVM. */
  placeOf({ kmsId, nodeId }: { readonly kmsId: string; readonly nodeId: number }): Place {
    const kms = this.findKms(kmsId);
    const node = this.findNode(nodeId);
    if (!kms || !node) throw new Error(`KMS ${kmsId} or node ${nodeId} is gone.`);
    return { kms, node };
  }

  /** The KMS and the node after the next rollover. The app may not allow that node's device yet. */
  nextPlaceOf(cvm: { readonly kmsId: string; readonly nodeId: number; readonly nextNodeId: number | null }): Place {
    return this.placeOf({ kmsId: cvm.kmsId, nodeId: cvm.nextNodeId ?? cvm.nodeId });
  }

  listOsImages(): OsImage[] {
    return this.#database.all<OsImageRow>(`SELECT ${osImageColumns} FROM os_image ORDER BY rowid`).map(toOsImage);
  }

  findOsImage(name: string): OsImage | undefined {
    const row = this.#database.first<OsImageRow>(`SELECT ${osImageColumns} FROM os_image WHERE name = :name`, { name });
    return row && toOsImage(row);
  }
}

function toNode({ vcpu, memoryMb, cvmSlots, ...row }: NodeRow): Node {
  return { ...row, advisoryIds: JSON.parse(row.advisoryIds), capacity: { vcpu, memoryMb, cvmSlots } };
}

function toOsImage(row: OsImageRow): OsImage {
  return { ...row, isDev: row.isDev === 1 };
}
