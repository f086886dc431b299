import { expect } from "chai";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Address } from "viem";
import { type AppArguments, connectApp, readConfiguredKms, resolveApp } from "../../../../src/commands/connect-app.ts";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import {
  InvalidArgumentError,
  InvalidHexError,
  RpcUnavailableError,
  SignerRequiredError,
  WrongChainError,
} from "../../../../src/errors/index.ts";
import { connectChain, hostOf, requirePinnedChain } from "../../../../src/hardhat/connect.ts";
import dstack from "../../../../src/hardhat/index.ts";
import type { DstackConfig, DstackUserConfig } from "../../../../src/hardhat/type-extensions.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { startFaultServer } from "../../../support/chain/fault-server.ts";
import { projectOf } from "../../../support/hardhat/run-task.ts";
import { rejection } from "../../../support/rejection.ts";

const shop = `0x${"5a".repeat(20)}`;
const bank = `0x${"ba".repeat(20)}`;
const device = `0x${"de".repeat(32)}`;
const pin = `0x${"11".repeat(32)}`;

const environmentOf = (config: unknown): Promise<HardhatRuntimeEnvironment> =>
  createHardhatRuntimeEnvironment({ plugins: [dstack], dstack: config as DstackUserConfig }); // also what a JavaScript project can write
const appsOf = async (apps: DstackUserConfig["apps"]): Promise<DstackConfig["apps"]> =>
  (await environmentOf({ apps })).config.dstack.apps;

describe("the configuration of the plugin", () => {
  it("parses apps, pins, devices and the KMS once", async () => {
    const { apps, kms } = (
      await environmentOf({
        apps: {
          shop: { address: `app_${shop.slice(2).toUpperCase()}`, cvm: "shop-1", network: "base", pins: [pin] },
          bank: { address: bank, devices: [device.slice(2).toUpperCase()] },
        },
        kms: bank,
      })
    ).config.dstack;
    expect(apps).to.deep.equal({
      shop: { address: shop, cvm: "shop-1", network: "base", pins: [parseComposeHash(pin)], devices: undefined },
      bank: { address: bank, cvm: undefined, network: undefined, pins: [], devices: [device] },
    });
    expect(await kms.get()).to.equal(bank);
  });

  it("reads the KMS from DSTACK_KMS when it is not configured, and has none without both", async () => {
    const read = async () => readConfiguredKms(hostOf(await environmentOf({})));
    expect(await read()).to.equal(undefined);
    try {
      process.env.DSTACK_KMS = ` ${bank} `;
      expect(await read()).to.equal(bank);
      process.env.DSTACK_KMS = "0x12";
      expect(await rejection(read())).to.be.instanceOf(InvalidHexError);
    } finally {
      delete process.env.DSTACK_KMS;
    }
  });

  for (const [what, config, path] of [
    ["an address that is too short", { apps: { shop: "0x12" } }, "config.dstack.apps.shop"],
    ["an object without an address", { apps: { shop: { cvm: "a" } } }, "config.dstack.apps.shop.address"],
    [
      "a pin of 31 bytes",
      { apps: { shop: { address: shop, pins: ["11".repeat(31)] } } },
      "config.dstack.apps.shop.pins.0",
    ],
    ["a misspelt field", { apps: { shop: { address: shop, pinned: [] } } }, "config.dstack.apps.shop"],
    ["a name that looks like an address", { apps: { "0xshop": shop } }, "config.dstack.apps.0xshop"],
    [
      "a name that is an address without prefix",
      { apps: { [shop.slice(2)]: bank } },
      `config.dstack.apps.${shop.slice(2)}`,
    ],
    ["a misspelt section", { app: {} }, "config.dstack"],
    ["an invalid KMS", { kms: "kms" }, "config.dstack.kms"],
    [
      "a device id of 31 bytes",
      { apps: { shop: { address: shop, devices: ["11".repeat(31)] } } },
      "config.dstack.apps.shop.devices.0",
    ],
    ["a KMS key that is not on the curve", { kmsPublicKey: "05".repeat(33) }, "config.dstack.kmsPublicKey"],
    ["an API key that is a number", { cloud: { apiKey: 7 } }, "config.dstack.cloud.apiKey"],
  ] as const) {
    it(`refuses ${what}, and names its path`, async () => {
      expect(await rejection(environmentOf(config)))
        .to.have.property("message")
        .that.includes(`${path}:`);
    });
  }
});

describe("the chain that a key signs for", () => {
  async function judge(
    network: string,
    chainId: number,
    more: { readonly chainId?: number; readonly url?: string } = {},
  ) {
    const { config } = await createHardhatRuntimeEnvironment({
      plugins: [dstack],
      networks: { [network]: { type: "http", url: "https://rpc.example", ...more } },
    });
    return requirePinnedChain(config, { network, chainId });
  }

  it("is the configured one, the one a network's name stands for, or that of a node on this machine", async () => {
    await judge("mine", 8453, { chainId: 8453 });
    await judge("base", 8453);
    await judge("sepolia", 11_155_111);
    await judge("mine", 31_337, { url: "http://127.0.0.1:8545" });
  });

  it("is never known only from the endpoint", async () => {
    expect(await rejection(judge("sepolia", 8453))).to.be.instanceOf(WrongChainError);
    const unnamed = await rejection(judge("mine", 8453));
    expect(unnamed).to.be.instanceOf(InvalidArgumentError);
    expect((unnamed as InvalidArgumentError).nextStep).to.contain("networks.mine.chainId");
  });
});

describe("resolveApp", () => {
  const resolve = async (args: AppArguments, apps: DstackUserConfig["apps"]) =>
    resolveApp(args, { apps: await appsOf(apps), cloud: undefined });

  it("accepts an address, an id with prefix and a name, and finds the name of an address", async () => {
    const apps = { shop: { address: shop, pins: [pin] }, bank };
    for (const app of ["shop", shop, `app_${shop.slice(2)}`, shop.slice(2)])
      expect(await resolve({ app }, apps)).to.include({ appId: shop, alias: "shop" });
    expect(await resolve({ app: `0x${"cc".repeat(20)}` }, apps)).to.include({ alias: undefined });
  });

  it("joins the pins of all names of an app", async () => {
    const other = `0x${"22".repeat(32)}`;
    const apps = { shop: { address: shop, pins: [pin] }, again: { address: shop, pins: [other, pin] }, bank };
    for (const app of ["shop", "again", shop])
      expect((await resolve({ app }, apps)).pins, app).to.have.members([pin, other]);
    expect((await resolve({ app: "bank" }, apps)).pins).to.deep.equal([]);
  });

  it("uses the only app of the configuration, and none of several", async () => {
    expect(await resolve({}, { shop })).to.include({ appId: shop, alias: "shop" });
    const error = await rejection(resolve({}, { shop, bank }));
    expect(error)
      .to.be.instanceOf(InvalidArgumentError)
      .with.nested.property("context.apps")
      .that.eqls(["shop", "bank"]);
    expect(await rejection(resolve({}, {}))).to.be.instanceOf(InvalidArgumentError);
  });

  it("refuses unknown names, incomplete addresses and wrong checksums", async () => {
    expect(await rejection(resolve({ app: "shpo" }, { shop }))).to.be.instanceOf(InvalidArgumentError);
    expect(await rejection(resolve({ app: "toString" }, { shop }))).to.be.instanceOf(InvalidArgumentError);
    for (const app of [shop.slice(0, -1), "0x", "app_12", "0xD8dA6BF26964aF9D7eEd9e03E53415D37aA96045"])
      expect(await rejection(resolve({ app }, {})), app).to.be.instanceOf(InvalidHexError);
  });

  it("asks no cloud without an API key", async () => {
    expect(await rejection(resolve({ cvm: "shop-1" }, { shop }))).to.be.instanceOf(InvalidArgumentError);
  });
});

describe("connectApp, in a world", () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.close());
  const onChain = () => world.cvms.onChain?.appId ?? parseAppId("");

  it("finds the app of a CVM, its chain and who may sign for it", async () => {
    const hre = await projectOf(world, { apps: { shop: { address: onChain(), pins: [pin] } } });
    const app = await connectApp({ cvm: "onchain-app" }, hostOf(hre));
    expect(app).to.include({
      appId: onChain(),
      alias: "shop",
      cvm: "onchain-app",
      chainId: 8453,
      network: "world",
      kms: world.contracts.kms.toLowerCase(),
    });
    expect(app.pins).to.deep.equal([pin]);
    expect(app.client.chain?.blockExplorers).to.equal(undefined);
    expect((await app.signer("a change")).address).to.equal(world.owner.address);
  });

  it("refuses a CVM of another app than the one named beside it", async () => {
    const hre = await projectOf(world, { apps: { bank } });
    expect(await connectApp({ app: onChain(), cvm: "onchain-app" }, hostOf(hre))).to.include({ cvm: "onchain-app" });
    const refusal = await rejection(connectApp({ app: "bank", cvm: "onchain-app" }, hostOf(hre)));
    expect(refusal)
      .to.be.instanceOf(InvalidArgumentError)
      .with.property("context")
      .that.deep.equals({ cvm: "onchain-app", itsApp: onChain(), wanted: bank });
    const keyless = await projectOf(world, { apps: { bank }, cloud: { apiKey: "" } });
    expect(await connectApp({ app: "bank", cvm: "onchain-app" }, hostOf(keyless))).to.include({ cvm: "onchain-app" });
  });

  it("needs neither cloud nor key to read the chain", async () => {
    const hre = await projectOf(world, { ownerKey: "not a key", cloud: { apiKey: "" } });
    const app = await connectApp({ app: onChain() }, hostOf(hre));
    expect(app.cloud).to.equal(undefined);
    expect(await rejection(app.signer("a change"))).to.be.instanceOf(InvalidHexError);
  });

  it("refuses a CVM without a contract and one of another chain", async () => {
    const hre = await projectOf(world);
    expect(await rejection(connectApp({ cvm: "offchain-app" }, hostOf(hre)))).to.be.instanceOf(InvalidArgumentError);
    const elsewhere = await projectOf(world, {}, { networks: { world: { type: "edr-simulated", chainId: 31337 } } });
    expect(await rejection(connectApp({ cvm: "onchain-app" }, hostOf(elsewhere)))).to.be.instanceOf(WrongChainError);
  });

  it("signs with an account of the network when there is no owner key, the wanted one first", async () => {
    const url = world.chain.rpcUrl;
    const mnemonic = "test test test test test test test test test test test junk";
    const accountOf = async (accounts: "remote" | string[] | { mnemonic: string }, wanted?: Address) => {
      const networks = { world: { type: "http" as const, url, accounts } };
      const app = await connectApp({ app: onChain() }, hostOf(await projectOf(world, { ownerKey: "" }, { networks })));
      return app.signer("a change", wanted);
    };
    const [first, second] = [devAccount(0).address, devAccount(1).address];
    expect(await accountOf([devPrivateKey(0), devPrivateKey(1)])).to.include({ address: first, type: "local" });
    expect(await accountOf([devPrivateKey(0), devPrivateKey(1)], second)).to.include({ address: second });
    expect(await accountOf({ mnemonic }, second)).to.include({ address: second, type: "local" });
    expect(await accountOf("remote", second)).to.include({ address: second, type: "json-rpc" });
    expect(await rejection(accountOf([]))).to.be.instanceOf(SignerRequiredError);
  });

  it("refuses an endpoint whose chain is not the network's", async () => {
    const networks = { world: { type: "http" as const, url: world.chain.rpcUrl, chainId: 1 } };
    const hre = await projectOf(world, {}, { networks });
    const refusal = await rejection(connectApp({ app: onChain() }, hostOf(hre)));
    expect(refusal)
      .to.be.instanceOf(WrongChainError)
      .and.deep.include({ context: { expected: 1, actual: 8453 } });
  });

  it("does not wait for an endpoint that asks to wait for a day", async () => {
    const busy = await startFaultServer((_, response) => response.writeHead(429, { "Retry-After": "86400" }).end());
    try {
      const hre = await createHardhatRuntimeEnvironment({
        plugins: [dstack],
        networks: { base: { type: "http", url: `http://127.0.0.1:${busy.port}` } },
      });
      const chain = connectChain(hre, "base");
      expect(await rejection(chain)).to.be.instanceOf(RpcUnavailableError);
    } finally {
      await busy.close();
    }
  });

  it("ends a request whose answer never ends, and does not repeat it", async () => {
    let requests = 0;
    const drips: NodeJS.Timeout[] = [];
    const slow = await startFaultServer((_, response) => {
      requests += 1;
      response.writeHead(200, { "content-type": "application/json" }).write('{"jsonrpc":"2.0","id":0,"result":"0x');
      drips.push(setInterval(() => response.write("0"), 5));
    });
    try {
      const hre = await createHardhatRuntimeEnvironment({
        plugins: [dstack],
        networks: { base: { type: "http", url: `http://127.0.0.1:${slow.port}`, timeout: 200 } },
      });
      const start = Date.now();
      const error = await rejection(connectChain(hre, "base"));
      expect(error).to.be.instanceOf(RpcUnavailableError);
      expect(error).to.have.nested.property("context.reason", "no complete answer within 0.2 s");
      expect(Date.now() - start).to.be.within(190, 3_000);
      expect(requests).to.equal(1);
    } finally {
      for (const drip of drips) clearInterval(drip);
      await slow.close();
    }
  });

  it("hides headers and parts of the URL that the endpoint repeats", async () => {
    const endpoint = await startFaultServer((request, response) => {
      const { authorization, "x-token": token } = request.headers;
      const error = { code: -32005, message: `${authorization} ${token} ${request.url}` };
      response.end(JSON.stringify({ jsonrpc: "2.0", id: 0, error }));
    });
    try {
      const hre = await createHardhatRuntimeEnvironment({
        plugins: [dstack],
        networks: {
          base: {
            type: "http",
            url: `http://user:pw9@127.0.0.1:${endpoint.port}/v2/k1?key=z2`,
            httpHeaders: { "X-Token": "hunter2!pa" },
          },
        },
      });
      const error = await rejection(connectChain(hre, "base"));
      expect(error).to.have.nested.property("context.said", "Basic [hidden] [hidden] /v2/[hidden]?key=[hidden]");
    } finally {
      await endpoint.close();
    }
  });

  it("asks for a network, and refuses an unknown one", async () => {
    const config = { plugins: [dstack], networks: { base: { type: "http" as const, url: world.chain.rpcUrl } } };
    const hre = await createHardhatRuntimeEnvironment(config);
    expect(await rejection(connectChain(hre)))
      .to.be.instanceOf(InvalidArgumentError)
      .with.property("nextStep")
      .that.includes("--network base");
    expect(await connectChain(hre, "base")).to.include({ network: "base", chainId: 8453 });
    expect(await rejection(connectChain(hre, "sepolia"))).to.be.instanceOf(InvalidArgumentError);
  });
});
