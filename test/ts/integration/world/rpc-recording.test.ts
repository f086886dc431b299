import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { createPublicClient, http } from "viem";
import { readAllowlist } from "../../../../src/chain/index.ts";
import { getCvm } from "../../../../src/cloud/index.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { recordRpc, replayRpc, startWorld, type World } from "../../../../src/world/index.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { sendJson, startServer } from "../../../support/update/http-server.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const fast = { cloud: { rolloverMs: 0 } } as const;

describe("a recording of an RPC endpoint", () => {
  const directory = useTemporaryDirectory();
  let upstream: World;
  let file: string;

  before(async () => {
    upstream = await startWorld(fast);
  });

  beforeEach(() => {
    file = join(directory.path, "fork.rpc.jsonl");
  });

  after(() => upstream.close());

  /** Records one question. */
  async function recordOne(): Promise<void> {
    const recorded = await recordRpc({ url: upstream.chain.rpcUrl, file });
    await createPublicClient({ transport: http(recorded.url) }).getChainId();
    await recorded.close();
  }

  it("starts the same fork again when its endpoint is gone", async () => {
    const { appId, composeHash } = await getCvm(upstream.cloudClient, { cvm: "onchain-app" });
    if (appId === undefined || composeHash === undefined) throw new Error("an on-chain CVM has both");
    const other = parseComposeHash("0b".repeat(32));
    const isAllowed = async (forkUrl: string) => {
      const world = await startWorld({ forkUrl, cvms: false });
      try {
        const answers = [composeHash, other].map(async (composeHash) => {
          const { composeHashAllowed } = await readAllowlist(world.chain.client, { appId, composeHash });
          return composeHashAllowed;
        });
        return await Promise.all(answers);
      } finally {
        await world.close();
      }
    };
    const recorded = await recordRpc({ url: upstream.chain.rpcUrl, file });
    expect(await isAllowed(recorded.url)).to.deep.equal([true, false]);
    const count = recorded.size();
    await recorded.close();

    // Nothing of the replay knows the endpoint.
    const replayed = await replayRpc({ file });
    expect(replayed.size()).to.equal(count);
    expect(await isAllowed(replayed.url)).to.deep.equal([true, false]);
    expect(replayed.missing()).to.deep.equal([]);
    await replayed.close();
  });

  it("gives the first answer again, and passes on nothing that changes the chain", async () => {
    const recorded = await recordRpc({ url: upstream.chain.rpcUrl, file: join(directory.path, "view.jsonl") });
    const client = createPublicClient({ transport: http(recorded.url), cacheTime: 0 });
    const height = await client.getBlockNumber();
    await upstream.chain.client.mine({ blocks: 3 });
    expect(await client.getBlockNumber()).to.equal(height);
    const mined = client.request({ method: "evm_mine" } as never);
    expect(await mined.catch((error: unknown) => error)).to.have.property("code", -32601);
    expect(await upstream.chain.client.getBlockNumber()).to.equal(height + 3n);
    await recorded.close();
  });

  it("says which question has no answer", async () => {
    await recordOne();
    const replayed = await replayRpc({ file });
    const client = createPublicClient({ transport: http(replayed.url, { retryCount: 0 }) });
    const address = `0x${"77".repeat(20)}` as const;
    const error = await client.getBalance({ address }).catch((error: unknown) => error);
    expect(error).to.have.property(
      "details",
      `The recording has no answer to eth_getBalance ["${address}","latest"]. Record again with the endpoint.`,
    );
    expect(replayed.missing()).to.deep.equal([JSON.stringify(["eth_getBalance", [address, "latest"]])]);
    await replayed.close();
  });

  it("keeps a revert, but no outage", async () => {
    const gone = await startWorld({ ...fast, cvms: false });
    const path = join(directory.path, "errors.jsonl");
    const recorded = await recordRpc({ url: gone.chain.rpcUrl, file: path });
    const client = createPublicClient({ transport: http(recorded.url, { retryCount: 0 }) });
    // removeComposeHash of a stranger reverts.
    const to = gone.contracts.kms;
    const revert = () => client.request({ method: "eth_call", params: [{ to, data: "0xdeadbeef" }, "latest"] });
    const first = await revert().catch((error: unknown) => error);
    expect(first).to.be.instanceOf(Error);
    await gone.close();
    const again = await revert().catch((error: unknown) => error);
    const fault = (error: unknown) =>
      error instanceof Error && "walk" in error ? String(Reflect.get(error, "details")) : String(error);
    expect(fault(again)).to.equal(fault(first));
    expect(await client.getBlockNumber().catch((error: unknown) => error)).to.be.instanceOf(Error);
    await recorded.close();
    const replayed = await replayRpc({ file: path });
    expect(replayed.size()).to.equal(1);
    await replayed.close();
  });

  it("replaces an older recording, but no other file, and does not write the endpoint's address", async () => {
    const other = join(directory.path, "notes.txt");
    await writeFile(other, "not a recording");
    const parameters = { url: `${upstream.chain.rpcUrl}/?key=secret-word`, file: other };
    await catchError(recordRpc(parameters), InvalidArgumentError);
    expect(await readFile(other, "utf8")).to.equal("not a recording");
    const path = join(directory.path, "twice.jsonl");
    for (let round = 0; round < 2; round++) {
      const recorded = await recordRpc({ ...parameters, file: path });
      await createPublicClient({ transport: http(recorded.url) }).getChainId();
      await recorded.close();
    }
    const text = await readFile(path, "utf8");
    expect(text.trim().split("\n")).to.have.lengthOf(2);
    expect(text).not.to.include("secret-word");
  });

  it("names no secret of the endpoint's URL when the endpoint fails or repeats it in an error", async () => {
    const secret = "secretsecretsecret1";
    const echo = await startServer((response, { body, url }) => {
      const { id, method } = JSON.parse(body);
      if (method === "eth_gasPrice") return void response.destroy();
      sendJson(response, 200, { jsonrpc: "2.0", id, error: { code: -32601, message: `no ${method} at ${url}` } });
    });
    const path = join(directory.path, "secrets.jsonl");
    const recorded = await recordRpc({ url: `${echo.url}/v2/${secret}`, file: path });
    const client = createPublicClient({ transport: http(recorded.url, { retryCount: 0 }) });
    const words = [client.getChainId(), client.getGasPrice()].map((asked) => asked.catch(String));
    for (const text of [...(await Promise.all(words)), await readFile(path, "utf8")]) {
      expect(text).to.be.a("string").that.does.not.include(secret);
    }
    expect(recorded.size()).to.equal(1);
    await recorded.close();
    await echo.close();
  });

  it("reads a recording whose process was killed while it wrote, and refuses a damaged one", async () => {
    await recordOne();
    await appendFile(file, '{"method":"eth_cha');
    const replayed = await replayRpc({ file });
    expect(replayed.size()).to.equal(1);
    await replayed.close();
    await appendFile(file, "\n");
    const error = await catchError(replayRpc({ file }), InvalidArgumentError);
    expect(error.message).to.equal(`${file} is no recording of an RPC endpoint: line 3 is damaged.`);
  });
});
