import { type ArtifactResolver, DeploymentResultType, deploy } from "@nomicfoundation/ignition-core";
import { expect } from "chai";
import hre from "hardhat";
import { getContractAddress, type Hex, numberToHex, parseGwei } from "viem";
import dstackKmsModule from "../../../../ignition/modules/dstack-kms.ts";
import { guardDeployment } from "../../../../scripts/support/guard-deployment.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { attacker } from "../../../support/hostile/arbitrary-lies.ts";
import { signedTransactions } from "../../../support/hostile/decode-signatures.ts";
import { type Lie, type LyingRpc, startLyingRpc } from "../../../support/hostile/lying-rpc.ts";
import { rejection } from "../../../support/rejection.ts";

describe("deploying at an endpoint that lies", () => {
  const deployer = devAccount(4).address;
  let world: World;
  let rpc: LyingRpc;

  before(async () => {
    world = await startWorld({ cvms: false });
    rpc = await startLyingRpc(world.chain.rpcUrl);
  });
  after(async () => {
    await rpc?.close();
    await world?.close();
  });

  /** As `npm run deploy` does, without Ignition's folder. */
  async function run(lies: readonly Lie[]) {
    rpc.tell(lies);
    const unguard = guardDeployment(hre);
    const connection = await hre.network.create({
      network: "base",
      override: { url: rpc.url, accounts: [devPrivateKey(4)] },
    });
    const artifactResolver: ArtifactResolver = {
      loadArtifact: (name) => hre.artifacts.readArtifact(name),
      getBuildInfo: async () => undefined,
    };
    try {
      const accounts = await connection.provider.request({ method: "eth_accounts" });
      return await deploy({
        artifactResolver,
        provider: connection.provider,
        ignitionModule: dstackKmsModule,
        deploymentParameters: {},
        accounts: accounts as string[],
        config: { blockPollingInterval: 20, requiredConfirmations: 1 },
      });
    } finally {
      unguard();
      await connection.close();
    }
  }

  it("deploys with a limited priority fee", async () => {
    const tip = numberToHex(parseGwei("9000000"));
    const result = await run([{ method: "eth_maxPriorityFeePerGas", answer: { value: tip } }]);
    expect(result.type).to.equal(DeploymentResultType.SUCCESSFUL_DEPLOYMENT);
    const signed = await signedTransactions(rpc);
    expect(signed).to.have.length(3);
    for (const transaction of signed) expect(transaction.tip).to.equal(parseGwei("3"));
  });

  it("never uses an address that a receipt invents", async () => {
    const error = await rejection(
      run([{ method: "eth_getTransactionReceipt", answer: { fields: { contractAddress: attacker } } }]),
    );
    expect(String(error)).to.contain(attacker);
    for (const { data } of await signedTransactions(rpc)) expect(data).to.not.contain(attacker.slice(2));
  });

  it("does not accept a contract of another nonce of the same account", async () => {
    const other: Hex = getContractAddress({ from: deployer, nonce: 0n });
    const error = await rejection(
      run([{ method: "eth_getTransactionReceipt", at: 1, answer: { fields: { contractAddress: other } } }]),
    );
    expect(String(error)).to.contain(other);
  });

  it("signs for no more gas than a deployment needs, and not without a base fee", async () => {
    for (const lie of [
      { method: "eth_estimateGas", answer: { value: numberToHex(16_000_000n) } },
      { method: "eth_getBlockByNumber", answer: { fields: { baseFeePerGas: undefined } } },
    ]) {
      const price: Lie = { method: "eth_gasPrice", answer: { value: numberToHex(parseGwei("900000")) } };
      await rejection(run([lie, price]));
      expect(await signedTransactions(rpc)).to.deep.equal([]);
    }
  });
});
