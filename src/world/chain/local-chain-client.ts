import {
  type Chain,
  createTestClient,
  type HttpTransport,
  http,
  type PublicActions,
  publicActions,
  type TestClient,
} from "viem";
import { fetchWithoutRedirects } from "../../chain/client.ts";

/** Reads a chain, and may do with it what only a test may. */
export type LocalChainClient = TestClient<"hardhat", HttpTransport, Chain> & PublicActions<HttpTransport, Chain>;

/** For a chain of Hardhat's or anvil's, which answers to the same calls. */
export function createLocalChainClient(rpcUrl: string, chain: Chain): LocalChainClient {
  return createTestClient({
    chain,
    mode: "hardhat",
    transport: http(rpcUrl, { fetchFn: fetchWithoutRedirects }),
    pollingInterval: 50,
  }).extend(publicActions);
}
