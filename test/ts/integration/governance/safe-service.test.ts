import * as apiKit from "@safe-global/api-kit";
import { expect } from "chai";
import { createWalletClient, type Hex, http, type LocalAccount, zeroAddress } from "viem";
import { writeContract } from "viem/actions";
import { hashSafeTx, type SafeTx } from "../../../../src/core/safe.ts";
import { encodeSafeSignatures } from "../../../../src/core/safe-signing.ts";
import { readSafe, type SafeAccount } from "../../../../src/governance/safe-account.ts";
import {
  confirmSafeTransaction,
  getQueuedSafeTransaction,
  listQueuedSafeTransactions,
  proposeSafeTransaction,
} from "../../../../src/governance/safe-queue.ts";
import { createSafeService } from "../../../../src/governance/safe-service.ts";
import { signerOfAccount, signSafeTransaction } from "../../../../src/governance/safe-sign.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { safeArtifact } from "../../../support/chain/deploy-owner-contracts.ts";
import { rejection } from "../../../support/rejection.ts";
import { addSafe, type TestSafe } from "../../../support/safe/safe-world.ts";
import { type SafeService, startSafeService } from "../../../support/safe/service.ts";

// Its types describe the build for CommonJS, where the class is one level deeper.
const SafeApiKit = apiKit.default as unknown as typeof apiKit.default.default;
const apiKey = "key-of-the-test-0123456789";
const stranger = devAccount(7);
const changed = (hex: Hex): Hex => `${hex.slice(0, -1)}${hex.endsWith("0") ? "1" : "0"}` as Hex;

describe("a Safe transaction service", () => {
  let world: World;
  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
  });
  after(() => world?.close());

  for (const version of ["1.4.1", "1.5.0"] as const) {
    describe(`for a published Safe ${version}`, () => {
      let server: SafeService;
      let test: TestSafe;
      let account: SafeAccount;
      let kit: InstanceType<typeof SafeApiKit>;

      before(async () => {
        test = await addSafe(world, version);
        account = await readSafe(world.ownerClient, { safe: test.safe });
      });
      beforeEach(async () => {
        server = await startSafeService({ rpcUrl: world.chain.rpcUrl, apiKey });
        kit = new SafeApiKit({ chainId: BigInt(world.chain.id), txServiceUrl: server.url, apiKey });
      });
      afterEach(() => server.close());

      const service = (retry = { attempts: 2, baseDelayMs: 1, maxDelayMs: 2 }) =>
        createSafeService({ url: server.url, apiKey, retry });
      const transaction = (nonce: bigint, more: Partial<SafeTx> = {}): SafeTx => ({
        ...{ to: zeroAddress, value: 0n, data: "0x12345678", operation: 0, nonce },
        ...{ safeTxGas: 0n, baseGas: 0n, gasPrice: 0n, gasToken: zeroAddress, refundReceiver: zeroAddress },
        ...more,
      });
      const sign = (safeTx: SafeTx, by: LocalAccount) =>
        signSafeTransaction(signerOfAccount(world.ownerClient, by), { account, safeTx });
      const propose = async (safeTx: SafeTx, by: LocalAccount) =>
        proposeSafeTransaction(world.ownerClient, service(), { account, safeTx, signature: await sign(safeTx, by) });
      const list = () => listQueuedSafeTransactions(world.ownerClient, service(), account);
      /** As the API kit takes it. */
      const forKit = async (safeTx: SafeTx, by: LocalAccount) => ({
        safeAddress: account.safe,
        safeTransactionData: {
          ...safeTx,
          ...{ value: `${safeTx.value}`, nonce: Number(safeTx.nonce) },
          ...{ safeTxGas: `${safeTx.safeTxGas}`, baseGas: `${safeTx.baseGas}`, gasPrice: `${safeTx.gasPrice}` },
        },
        safeTxHash: hashSafeTx(safeTx, account),
        senderAddress: by.address,
        senderSignature: encodeSafeSignatures([await sign(safeTx, by)]),
      });

      it("shows the Safe API kit what this package proposed and confirmed", async () => {
        const [first, second] = test.owners;
        const safeTx = transaction(0n);
        const { safeTxHash } = await propose(safeTx, first);
        const signature = await sign(safeTx, second);
        await confirmSafeTransaction(world.ownerClient, service(), { account, safeTxHash, signature });
        const pending = await kit.getPendingTransactions(account.safe, { currentNonce: 0 });
        expect(pending.results.map((one) => one.safeTxHash)).to.deep.equal([safeTxHash]);
        const shown = await kit.getTransaction(safeTxHash);
        expect(shown).to.include({ nonce: "0", to: zeroAddress, data: "0x12345678", proposer: first.address });
        expect(shown.confirmations?.map(({ owner }) => owner)).to.have.members([first.address, second.address]);
        expect(await kit.getNextNonce(account.safe)).to.equal("1");
      });

      it("shows this package what the Safe API kit proposed and confirmed", async () => {
        const [first, second, third] = test.owners;
        const safeTx = transaction(0n, { value: 5n, safeTxGas: 9n });
        await kit.proposeTransaction(await forKit(safeTx, third));
        const safeTxHash = hashSafeTx(safeTx, account);
        await kit.confirmTransaction(safeTxHash, encodeSafeSignatures([await sign(safeTx, first)]));
        await kit.proposeTransaction(await forKit(transaction(1n), second));
        const [one, two, ...none] = await list();
        expect([one?.safeTx, one?.safeTxHash, none]).to.deep.equal([safeTx, safeTxHash, []]);
        expect(one?.confirmations.map(({ signer }) => signer)).to.have.members([third.address, first.address]);
        expect(two?.safeTx.nonce).to.equal(1n);
        expect(server.received.every(({ authorization }) => authorization === `Bearer ${apiKey}`)).to.equal(true);
      });

      it("refuses wrong hashes, fields, senders and signatures, also of the Safe API kit", async () => {
        const [first, second] = test.owners;
        const good = await forKit(transaction(0n), first);
        const wrong: readonly (readonly [change: object, words: RegExp])[] = [
          [{ safeTxHash: `0x${"11".repeat(32)}` }, /does not match provided contract-tx-hash/],
          [{ senderAddress: second.address }, /does not match sender/],
          [{ senderSignature: `0x${"12".repeat(64)}1b` }, /is not (?:valid|an owner)/],
          [{ senderSignature: "0x12" }, /Unprocessable/],
          [await forKit(transaction(0n), stranger), /is not an owner or delegate/],
          [{ safeTransactionData: { ...good.safeTransactionData, to: zeroAddress.slice(0, -1) } }, /Unprocessable/],
        ];
        for (const [change, words] of wrong)
          expect(await rejection(kit.proposeTransaction({ ...good, ...change })), JSON.stringify(change))
            .to.have.property("message")
            .that.matches(words);
        await kit.proposeTransaction(good);
        const outsider = encodeSafeSignatures([await sign(transaction(0n), stranger)]);
        expect(await rejection(kit.confirmTransaction(good.safeTxHash, outsider))).to.match(/is not an owner/);
        const otherTx = encodeSafeSignatures([await sign(transaction(1n), second)]);
        expect(await rejection(kit.confirmTransaction(good.safeTxHash, otherTx))).to.match(/is not an owner/);
      });

      it("takes a proposal of a delegate, whose signature does not count as a confirmation", async () => {
        const [first] = test.owners;
        const signer = createWalletClient({
          account: first,
          transport: http(world.chain.rpcUrl),
          chain: world.ownerClient.chain,
        });
        const delegate = { delegateAddress: stranger.address, delegatorAddress: first.address, label: "bot" };
        await kit.addSafeDelegate({ safeAddress: account.safe, ...delegate, signer });
        const kept = await propose(transaction(0n), stranger);
        expect(kept.confirmations).to.deep.equal([]);
        expect(await kit.getTransaction(kept.safeTxHash)).to.include({
          ...{ proposer: first.address, proposedByDelegate: stranger.address },
        });
      });

      it("is told apart from the chain: an approval counts only if the owner made it there", async () => {
        const [first, second] = test.owners;
        const { safeTxHash } = await propose(transaction(0n), first);
        server.tamper = ({ status, body }) => ({ status, body: withConfirmation(body, second.address, approval) });
        const approval = encodeSafeSignatures([{ kind: "approved-hash", signer: second.address }]);
        const get = () => getQueuedSafeTransaction(world.ownerClient, service(), { account, safeTxHash });
        const owner = second.address;
        expect((await get())?.rejected).to.deep.equal([
          { owner, problem: "has not approved the transaction on the chain" },
        ]);
        await writeContract(world.ownerClient, {
          ...{ abi: safeArtifact(version, "SafeL2.sol/SafeL2.json").abi, address: account.safe },
          ...{ functionName: "approveHash", args: [safeTxHash], account: second, chain: world.ownerClient.chain },
        });
        expect((await get())?.confirmations.map(({ signer }) => signer)).to.have.members([first.address, owner]);
      });

      it("is not believed if it gives a transaction another hash than it has", async () => {
        const [first] = test.owners;
        const { safeTxHash } = await propose(transaction(0n), first);
        for (const lie of [
          { to: stranger.address },
          { value: "1" },
          { data: "0x1234" },
          { operation: 1 },
          { safeTxGas: "1" },
          { gasPrice: "1" },
          { refundReceiver: stranger.address },
          { nonce: "1" },
          { safe: stranger.address },
          { safeTxHash: changed(safeTxHash) },
        ]) {
          server.tamper = ({ status, body }) => ({ status, body: withFields(body, lie) });
          expect(await rejection(list()), JSON.stringify(lie)).to.include({ code: "DSTK-3103" });
        }
      });

      it("is not believed about confirmations that are not an owner's, or not for this transaction", async () => {
        const [first, second] = test.owners;
        const safeTx = transaction(0n);
        const { safeTxHash } = await propose(safeTx, first);
        const lies: readonly (readonly [LocalAccount, Hex, string])[] = [
          [stranger, encodeSafeSignatures([await sign(safeTx, stranger)]), "is not an owner of the Safe"],
          [second, encodeSafeSignatures([await sign(transaction(1n), second)]), "did not sign this transaction"],
          [second, encodeSafeSignatures([await sign(safeTx, first)]), "did not sign this transaction"],
          [second, "0x12", "has a signature that cannot be read"],
        ];
        for (const [by, signature, problem] of lies) {
          server.tamper = ({ status, body }) => ({ status, body: withConfirmation(body, by.address, signature) });
          const [one] = await list();
          expect(one?.confirmations.map(({ signer }) => signer)).to.deep.equal([first.address]);
          expect(one?.rejected).to.deep.equal([{ owner: by.address, problem }]);
        }
        server.tamper = ({ status, body, method, path }) =>
          method === "GET" && path.includes(safeTxHash) ? { status: 404, body: {} } : { status, body };
        expect(await rejection(propose(safeTx, second)), "kept nothing").to.include({ code: "DSTK-3103" });
      });

      it("may answer in another form, invent a queue without end, or fail, and is then refused", async () => {
        await propose(transaction(0n), test.owners[0]);
        for (const body of [{}, [], { count: 1, results: [{}] }, { count: -1, results: [] }]) {
          server.tamper = () => ({ status: 200, body });
          expect(await rejection(list()), JSON.stringify(body)).to.include({ code: "DSTK-3102" });
        }
        server.tamper = ({ status, body }) => ({ status, body: { ...Object(body), count: 1_000_000 } });
        expect(await rejection(list())).to.include({ code: "DSTK-3103" });
        server.tamper = () => ({ status: 500, body: { detail: "broken" } });
        expect(await rejection(list())).to.include({ code: "DSTK-3102", retryable: true });
        await server.close();
        expect(await rejection(list())).to.include({ code: "DSTK-3101" });
      });
    });
  }
});

/** Changes each transaction of an answer. */
function withFields(body: unknown, fields: object): unknown {
  const { results } = Object(body) as { readonly results?: readonly object[] };
  if (results !== undefined) return { ...Object(body), results: results.map((one) => ({ ...one, ...fields })) };
  return { ...Object(body), ...fields };
}

/** Adds a confirmation to each transaction of an answer. */
function withConfirmation(body: unknown, owner: string, signature: Hex): unknown {
  const add = (one: object) => {
    const { confirmations = [] } = one as { readonly confirmations?: readonly object[] };
    return { ...one, confirmations: [...confirmations, { owner, signature, signatureType: "EOA" }] };
  };
  const { results } = Object(body) as { readonly results?: readonly object[] };
  return results === undefined ? add(Object(body)) : { ...Object(body), results: results.map(add) };
}
