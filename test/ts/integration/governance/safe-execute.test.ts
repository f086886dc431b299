import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Address, type LocalAccount, zeroAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { getTransactionCount, sendTransaction } from "viem/actions";
import { buildSafeBatch } from "../../../../src/batch/build-safe-batch.ts";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { type Ledger, memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { acceptOwnershipCall, addComposeHashCall, transferOwnershipCall } from "../../../../src/core/owner-calls.ts";
import { buildSafeTx, hashSafeTx, type SafeTx } from "../../../../src/core/safe.ts";
import { encodeExecTransaction } from "../../../../src/core/safe-calldata.ts";
import { encodeSafeSignatures } from "../../../../src/core/safe-signing.ts";
import { readSafe, type SafeAccount } from "../../../../src/governance/safe-account.ts";
import {
  type ExecuteSafeTransactionParameters,
  executeSafeTransaction,
  resumeSafeExecution,
} from "../../../../src/governance/safe-execute.ts";
import { signerOfAccount, signSafeTransaction } from "../../../../src/governance/safe-sign.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { deploySafe } from "../../../support/chain/deploy-owner-contracts.ts";
import { interceptedClient, type RpcRequest } from "../../../support/chain/intercepted-client.ts";
import { reorganisingBeforeSafe } from "../../../support/chain/reorganise.ts";
import { executeSafeBatch } from "../../../support/chain/safe.ts";
import { Crash, type CrashPoint, crashingLedger } from "../../../support/ledger/crashing-ledger.ts";
import { rejection } from "../../../support/rejection.ts";

const newKey = () => privateKeyToAccount(generatePrivateKey());
const [anna, ben, carl] = [newKey(), newKey(), newKey()];
const composeHash = parseComposeHash("a1".repeat(32));

/** An app whose owner is a published Safe, 2 of 3. */
async function deploy(connection: NetworkConnection): Promise<Dstack & { readonly safe: Address }> {
  const dstack = await deployDstack(connection);
  const { client, owner, appId } = dstack;
  const owners = [anna, ben, carl].map(({ address }) => address);
  const safe = await deploySafe(client, { payer: owner, owners, threshold: 2, version: "1.4.1" });
  await sendBatch(client, { account: owner, mode: "none", calls: [transferOwnershipCall({ appId, newOwner: safe })] });
  const batch = await buildSafeBatch(client, { safe, calls: [acceptOwnershipCall({ appId })] });
  await executeSafeBatch(client, { batch, signers: [anna, ben], payer: owner });
  return { ...dstack, safe };
}

describe("the execution of a Safe transaction", () => {
  let connection: NetworkConnection;
  let dstack: Awaited<ReturnType<typeof deploy>>;
  let account: SafeAccount;
  let safeTx: SafeTx;

  before(async () => {
    connection = await network.create("local");
  });
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deploy);
    account = await readSafe(dstack.client, { safe: dstack.safe });
    safeTx = buildSafeTx({ calls: calls(), multiSend: zeroAddress, nonce: account.nonce });
  });

  const calls = () => [addComposeHashCall({ appId: dstack.appId, composeHash })];
  const paid = () => getTransactionCount(dstack.client, { address: dstack.stranger.address });
  const isAllowed = async () =>
    (await readAllowlist(dstack.client, { appId: dstack.appId, composeHash })).composeHashAllowed;
  const confirm = (owners: readonly LocalAccount[], of = safeTx) =>
    Promise.all(
      owners.map((owner) => signSafeTransaction(signerOfAccount(dstack.client, owner), { account, safeTx: of })),
    );
  async function execute(
    ledger: Ledger,
    owners: readonly LocalAccount[],
    { client = dstack.client, ...more }: Partial<ExecuteSafeTransactionParameters> & { client?: ChainClient } = {},
  ) {
    const confirmations = await confirm(owners);
    return executeSafeTransaction(client, {
      ...{ ledger, account: dstack.stranger, safeAccount: account, calls: calls(), safeTx, confirmations },
      ...{ until: "latest", ...more },
    });
  }
  const resume = (ledger: Ledger) =>
    resumeSafeExecution(dstack.client, {
      ...{ ledger, account: dstack.stranger, safeAccount: account, calls: calls() },
      ...{ safeTxHash: hashSafeTx(safeTx, account), until: "latest" },
    });

  it("is paid once when the process ends at any write of the ledger, also if others sign the next time", async () => {
    const crashed: string[] = [];
    for (let write = 1, isOver = false; !isOver; write++)
      for (const when of ["before", "after"] as const) {
        dstack = await connection.networkHelpers.loadFixture(deploy);
        const ledger = memoryLedger();
        const before = await paid();
        const point: CrashPoint = { write, when };
        const error = await execute(crashingLedger(ledger, point), [anna, ben]).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (error === undefined) isOver = true;
        else {
          expect(error).to.be.instanceOf(Crash);
          crashed.push(`${write} ${when}`);
        }
        const resumed = (await resume(ledger)) ?? (await execute(ledger, [ben, carl]).catch(() => undefined));
        expect(resumed?.safeTxHash ?? "done before", `${write} ${when}`).to.match(/^0x|^done/);
        expect(await isAllowed(), `${write} ${when}`).to.equal(true);
        expect(await paid(), `${write} ${when}`).to.equal(before + 1);
      }
    expect(crashed.length).to.be.greaterThan(4);
  });

  it("is paid once by two runs at the same time", async () => {
    const ledger = memoryLedger();
    const before = await paid();
    const runs = await Promise.allSettled([execute(ledger, [anna, ben]), execute(ledger, [anna, carl])]);
    expect(runs.filter(({ status }) => status === "fulfilled")).to.not.deep.equal([]);
    expect([await paid(), await isAllowed()]).to.deep.equal([before + 1, true]);
  });

  it("is refused before anything is signed if the Safe has executed something else with the nonce", async () => {
    const other = buildSafeTx({ calls: calls(), multiSend: zeroAddress, nonce: account.nonce });
    const failing = { ...other, data: "0xdeadbeef", safeTxGas: 50_000n } as const;
    await executeOther(failing, [anna, carl]);
    const before = await paid();
    expect(await rejection(execute(memoryLedger(), [anna, ben]))).to.include({ code: "DSTK-2302" });
    expect(await paid()).to.equal(before);
  });

  it("is refused with a signature of another transaction, by the Safe's own word", async () => {
    const confirmations = await confirm([anna, ben], { ...safeTx, nonce: safeTx.nonce + 1n });
    const error = await rejection(execute(memoryLedger(), [], { confirmations }));
    expect(error).to.include({ code: "DSTK-2007" });
    expect(error).to.have.property("message").that.includes("GS026");
    const [one] = await confirm([anna]);
    expect(await rejection(execute(memoryLedger(), [], { confirmations: one ? [one] : [] }))).to.include({
      code: "DSTK-2303",
    });
  });

  async function executeOther(other: SafeTx, owners: readonly LocalAccount[]): Promise<void> {
    const data = encodeExecTransaction(other, encodeSafeSignatures(await confirm(owners, other)));
    const { client, owner, safe } = dstack;
    await sendTransaction(client, { account: owner, chain: client.chain, to: safe, data, gas: 900_000n });
  }

  describe("after a reorganisation between its block and the safe one", () => {
    const ask = ({ method, params = [] }: RpcRequest) => connection.provider.request({ method, params: [...params] });

    it("is the same transaction again, in another block", async () => {
      const { client } = interceptedClient(connection, { intercept: reorganisingBeforeSafe({ ask }) });
      const before = await paid();
      const { receipt } = await execute(memoryLedger(), [anna, ben], { client, until: "safe" });
      expect(receipt.status).to.equal("success");
      expect([await paid(), await isAllowed()]).to.deep.equal([before + 1, true]);
    });

    it("fails clearly if another transaction of the Safe has taken the nonce there", async () => {
      const failing = { ...safeTx, data: "0xdeadbeef", safeTxGas: 50_000n } as const;
      const intercept = reorganisingBeforeSafe({ ask, meanwhile: () => executeOther(failing, [anna, carl]) });
      const { client } = interceptedClient(connection, { intercept });
      const before = await paid();
      const ledger = memoryLedger();
      expect(await rejection(execute(ledger, [anna, ben], { client, until: "safe" }))).to.include({
        code: "DSTK-2008",
      });
      expect([await paid(), await isAllowed()]).to.deep.equal([before + 1, false]);
      // The next run sees the nonce, and pays nothing.
      expect(await rejection(execute(ledger, [anna, ben]))).to.include({ code: "DSTK-2302" });
      expect(await paid()).to.equal(before + 1);
    });
  });
});
