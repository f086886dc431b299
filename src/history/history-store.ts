import { hexToBytes } from "viem";
import type { AppId, Hex } from "../core/ids.ts";
import { HistoryScope } from "./store/history-scope.ts";
import { openDatabase, withStoreErrors } from "./store/open-database.ts";

/** Keeps what was read of any number of apps on any number of chains, so that the next run reads only new blocks. */
export interface HistoryStore {
  readonly path: string;
  /** For `readHistory`. */
  scope(chain: ChainIdentity, appId: AppId): HistoryScope;
  close(): void;
}

export interface ChainIdentity {
  readonly chainId: number;
  /** Hash of the chain's first block: local chains share an id. */
  readonly genesisHash: Hex;
}

/**
 * Opens a history store, made if there is no such file. Several processes may use one at once, and any of them may
 * die at any moment. Close it in the end.
 *
 * @param path a file, or `:memory:`
 * @throws HistoryStoreError
 */
export function openHistoryStore(path: string): HistoryStore {
  const database = openDatabase(path);
  return {
    path,
    scope: ({ chainId, genesisHash }, appId) =>
      withStoreErrors(path, () => {
        const key = { chainId, genesis: hexToBytes(genesisHash), app: hexToBytes(appId) };
        database
          .prepare("INSERT OR IGNORE INTO scope (chain_id, genesis, app) VALUES (:chainId, :genesis, :app)")
          .run(key);
        const row = database
          .prepare("SELECT id FROM scope WHERE chain_id = :chainId AND genesis = :genesis AND app = :app")
          .get(key);
        return new HistoryScope(database, path, Number(row?.id));
      }),
    close: () => database.close(),
  };
}
