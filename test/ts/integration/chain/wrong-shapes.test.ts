import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readAllowlist, readAppSettings, readAppStatus } from "../../../../src/chain/read-app.ts";
import { readKmsStatus } from "../../../../src/chain/read-kms.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import { isDstackError } from "../../../../src/errors/index.ts";
import { readHistory } from "../../../../src/history/read-history.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient } from "../../../support/chain/intercepted-client.ts";

const composeHash = parseComposeHash("c3".repeat(32));
const transactionHash = parseTransactionHash("70".repeat(32));
const wrong: readonly unknown[] = [
  ...[undefined, null, {}, [], [null], [{}], "0x", "0x123", 17, true, `0x${"f".repeat(300)}`],
];
const methods = [
  ...["eth_chainId", "eth_getCode", "eth_call", "eth_getBlockByNumber", "eth_blockNumber", "eth_getTransactionCount"],
  ...["eth_getBalance", "eth_estimateGas", "eth_maxPriorityFeePerGas", "eth_gasPrice", "eth_getTransactionReceipt"],
  ...["eth_getTransactionByHash", "eth_getStorageAt", "eth_getLogs"],
];

// The caller's own transport checks nothing.
describe("an action of the library at an endpoint whose answers have a wrong shape", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  before(async () => {
    connection = await network.create("local");
    dstack = await deployDstack(connection);
  });
  after(() => connection.close());

  const actions: Readonly<Record<string, (client: ChainClient) => Promise<unknown>>> = {
    readAllowlist: (client) => readAllowlist(client, { appId: dstack.appId, composeHash }),
    readAppSettings: (client) => readAppSettings(client, { appId: dstack.appId }),
    readAppStatus: (client) => readAppStatus(client, { appId: dstack.appId }),
    readKmsStatus: (client) => readKmsStatus(client, { kms: dstack.kms }),
    readHistory: (client) => readHistory(client, { appId: dstack.appId, retryDelayMs: 1 }),
    addComposeHash: (client) => addComposeHash(client, { appId: dstack.appId, composeHash, account: dstack.owner }),
    waitForReceipt: (client) =>
      waitForReceipt(client, { transactionHash, functionName: "addComposeHash", timeoutMs: 20, pollIntervalMs: 5 }),
  };
  for (const [name, act] of Object.entries(actions))
    it(`${name} throws errors of this package alone`, async () => {
      for (const method of methods)
        for (const value of wrong) {
          const { client } = interceptedClient(connection, {
            intercept: (asked, pass) => (asked.method === method ? Promise.resolve(value) : pass()),
          });
          const error: unknown = await act(client).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          if (error !== undefined && !isDstackError(error))
            expect.fail(
              `${method} ${JSON.stringify(value)?.slice(0, 40)}: ${error instanceof Error ? error.stack : error}`,
            );
        }
    }).timeout(60_000);
});
