import { numberToHex, zeroHash } from "viem";
import { getBlockNumber, getTransactionCount } from "viem/actions";
import { renounceOwnershipCall } from "../../core/owner-calls.ts";
import { type EndpointAnswer, proven, type ReceiptCase, type ReceiptVerdicts, verdicts } from "./receipt-case.ts";
import { adding, removing } from "./route-cases.ts";
import { alreadyRegistered } from "./state-cases.ts";
import { broadcast, mine, receiptOf, send, sendCall, setAutomine, sign, snapshot } from "./world.ts";

const notFound = (when?: string): ReceiptVerdicts =>
  verdicts("transaction-not-verified", "not-mined", "not-mined", when);

const malformed = verdicts("malformed", "malformed", "malformed");

/** Of transactions that are sent while the chain mines nothing. */
const isLeftInPool = true;

const chain = { group: "chain" } as const;
const claims = { group: "claims" } as const;
const endpoints = { group: "endpoints" } as const;

export const chainCases: readonly ReceiptCase[] = [
  {
    ...{ ...chain, id: "reverted", moments: [verdicts("transaction-not-verified", "not-proven", "reverted")] },
    story: "An account that does not own the app sends the call, and it is mined with status 0.",
    why: "A mined transaction may have failed. It changed nothing.",
    async *play(world) {
      yield { transactionHash: await sendCall(world, adding(world), { from: world.stranger }) };
    },
  },
  {
    ...{ ...chain, id: "reverted-while-allowed" },
    moments: [verdicts("transaction-not-verified", "not-proven", "reverted")],
    story: "The named transaction reverted, and another one has added the hash.",
    why: "The client named a transaction, so that one must prove it. It can say already-registered instead.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world), { from: world.stranger });
      await sendCall(world, adding(world));
      yield { transactionHash };
    },
  },
  {
    ...{ ...chain, id: "pending" },
    moments: [
      verdicts("waiting", "not-mined", "not-mined", "it waits in the pool"),
      verdicts("accepted", "proven", "applied", "a block has it"),
    ],
    story: "The transaction is broadcast and not mined yet.",
    why: "A later look may find it in a block. Until then it has no receipt, and the app does not allow the hash.",
    async *play(world) {
      await setAutomine(world, false);
      const transactionHash = await sendCall(world, adding(world), { isLeftInPool });
      yield { transactionHash };
      await mine(world);
      yield { transactionHash };
    },
  },
  {
    ...{ ...chain, id: "replaced" },
    moments: [
      verdicts("waiting", "not-mined", "not-mined", "it waits in the pool"),
      notFound("another transaction has used its nonce"),
    ],
    story: "The owner replaces the waiting transaction with one that does nothing.",
    why: "A nonce is used once. The first transaction can never be mined any more.",
    async *play(world) {
      await setAutomine(world, false);
      const nonce = await getTransactionCount(world.client, { address: world.owner.address });
      const transactionHash = await sendCall(world, adding(world), { nonce, isLeftInPool });
      yield { transactionHash };
      await send(world, { to: world.owner.address, nonce, fee: 2n, isLeftInPool });
      await mine(world);
      yield { transactionHash };
    },
  },
  {
    ...{ ...chain, id: "replaced-by-the-same-call", moments: [notFound("the first is named"), proven] },
    story: "The waiting transaction was sent again with a higher fee, and the second one was mined.",
    why: "The two have different hashes. The hash is allowed, but only the second transaction proves it.",
    async *play(world) {
      await setAutomine(world, false);
      const nonce = await getTransactionCount(world.client, { address: world.owner.address });
      const first = await sendCall(world, adding(world), { nonce, isLeftInPool });
      const second = await sendCall(world, adding(world), { nonce, fee: 2n, isLeftInPool });
      await mine(world);
      yield { transactionHash: first };
      yield { transactionHash: second };
    },
  },
  {
    ...{ ...chain, id: "dropped-by-reorganisation" },
    moments: [
      verdicts("accepted", "proven", "applied", "a block has it"),
      notFound("the block left the chain"),
      verdicts("accepted", "proven", "applied", "the same bytes are mined in another block"),
    ],
    story: "A reorganisation removes the block of the transaction, which is broadcast again later.",
    why: "A verdict holds for the chain of its moment. After a reorganisation it must be asked again.",
    async *play(world) {
      const back = await snapshot(world);
      const { to, data } = adding(world);
      const signed = await sign(world, { to, data });
      await broadcast(world, signed);
      yield { transactionHash: signed.hash };
      await back();
      await mine(world, 2);
      yield { transactionHash: signed.hash };
      await broadcast(world, signed);
      yield { transactionHash: signed.hash };
    },
  },
  {
    ...{ ...chain, id: "reverted-after-reorganisation" },
    moments: [
      verdicts("accepted", "proven", "applied", "a block has it"),
      verdicts("transaction-not-verified", "not-proven", "reverted", "it is mined again, and reverts"),
    ],
    story: "After a reorganisation the owner renounces the ownership first, and the same transaction then fails.",
    why: "The same hash has another receipt. What was read before the reorganisation counts no more.",
    async *play(world) {
      const { app: appId, client, owner } = world;
      const back = await snapshot(world);
      const nonce = await getTransactionCount(client, { address: owner.address });
      const { to, data } = adding(world);
      const signed = await sign(world, { to, data, nonce: nonce + 1 });
      await send(world, { to: owner.address, nonce });
      await broadcast(world, signed);
      yield { transactionHash: signed.hash };
      await back();
      await sendCall(world, renounceOwnershipCall({ appId }), { nonce });
      await broadcast(world, signed);
      yield { transactionHash: signed.hash };
    },
  },
  {
    ...{ ...chain, id: "removed-by-reorganisation" },
    moments: [
      verdicts("accepted", null, null, "the app allows the hash"),
      verdicts("hash-not-allowed", null, null, "the blocks left the chain"),
    ],
    story: "The client says already-registered, and a reorganisation removes the registration.",
    why: "The state is that of the chain of now.",
    async *play(world) {
      const back = await snapshot(world);
      await sendCall(world, adding(world));
      yield { transactionHash: alreadyRegistered };
      await back();
      await mine(world, 2);
      yield { transactionHash: alreadyRegistered };
    },
  },
  ...(["safe", "finalized"] as const).map(
    (finality): ReceiptCase => ({
      ...{ ...chain, id: `not-${finality}-yet` },
      moments: [
        verdicts("waiting", "proven", "applied", `the block is not ${finality}`),
        verdicts("accepted", "proven", "applied", `the block is ${finality}`),
      ],
      story: `The backend requires ${finality} blocks, and the transaction has just been mined.`,
      why: "A reorganisation can still remove the block. The plan was carried out; the backend waits.",
      async *play(world) {
        const before = await getBlockNumber(world.client);
        const transactionHash = await sendCall(world, adding(world));
        const { blockNumber } = await receiptOf(world, transactionHash);
        yield { transactionHash, finality, answer: taggedAt(finality, before) };
        yield { transactionHash, finality, answer: taggedAt(finality, blockNumber) };
      },
    }),
  ),
  {
    ...{ ...chain, id: "already-registered-not-final-yet" },
    moments: [verdicts("waiting", null, null), verdicts("accepted", null, null, "the block is safe")],
    story: "The backend requires safe blocks, the client says already-registered, and the safe block is older.",
    why: "The state of the safe block does not allow the hash yet, and the newest does.",
    async *play(world) {
      const before = await getBlockNumber(world.client);
      await sendCall(world, adding(world));
      const after = await getBlockNumber(world.client);
      yield { transactionHash: alreadyRegistered, finality: "safe", answer: taggedAt("safe", before) };
      yield { transactionHash: alreadyRegistered, finality: "safe", answer: taggedAt("safe", after) };
    },
  },
  {
    ...{ ...chain, id: "final-but-removed", moments: [verdicts("hash-not-allowed", "proven", "applied")] },
    story: "The block of the transaction is finalized, and the owner removed the hash in a newer block.",
    why: "Finality protects the past. The newest state refuses the hash, and the next boot would read it.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      const { blockNumber } = await receiptOf(world, transactionHash);
      await sendCall(world, removing(world));
      yield { transactionHash, finality: "finalized", answer: taggedAt("finalized", blockNumber) };
    },
  },
  {
    ...{ ...claims, id: "unknown-hash", moments: [notFound()] },
    story: "The client names a transaction that never existed.",
    why: "No node knows it.",
    async *play(world) {
      await sendCall(world, adding(world));
      yield { transactionHash: `0x${"77".repeat(32)}` };
    },
  },
  {
    ...{ ...claims, id: "zero-transaction-hash", moments: [notFound()] },
    story: "The client names the transaction hash of 32 zero bytes, and the hash is allowed.",
    why: "It is a well-formed hash of no transaction. It does not mean already-registered.",
    async *play(world) {
      await sendCall(world, adding(world));
      yield { transactionHash: zeroHash };
    },
  },
  {
    ...{ ...claims, id: "block-hash-as-transaction", moments: [notFound()] },
    story: "The client names the hash of the block instead of the transaction's.",
    why: "Both have 32 bytes. No transaction has this hash.",
    async *play(world) {
      const { blockHash } = await receiptOf(world, await sendCall(world, adding(world)));
      yield { transactionHash: blockHash };
    },
  },
  written(
    "short-hash",
    "malformed",
    "the transaction hash with 31 bytes",
    "It is not padded: a padded hash is another hash.",
    (hash) => hash.slice(0, -2),
  ),
  written(
    "odd-hash",
    "malformed",
    "the transaction hash with 63 digits",
    "It is half a byte short of a hash.",
    (hash) => hash.slice(0, -1),
  ),
  written(
    "long-hash",
    "malformed",
    "33 bytes, of which the first 32 are the transaction hash",
    "It is not cut: the rest could be anything.",
    (hash) => `${hash}00`,
  ),
  written(
    "space-around",
    "malformed",
    "a space in front of the transaction hash",
    "Spaces are not part of a hash.",
    (hash) => ` ${hash}`,
  ),
  written(
    "no-hex",
    "malformed",
    "the transaction hash with a letter that is no hex digit",
    "It is no hash.",
    (hash) => `${hash.slice(0, -1)}g`,
  ),
  written(
    "almost-the-word",
    "malformed",
    "Already-Registered with capitals",
    "Only the exact word skips the proof.",
    () => "Already-Registered",
  ),
  written(
    "upper-case",
    "same",
    "the transaction hash with upper-case digits",
    "Hex has no letter case.",
    (hash) => `0x${hash.slice(2).toUpperCase()}`,
  ),
  written(
    "upper-case-prefix",
    "same",
    "the transaction hash with 0X in front",
    "The bytes are the same.",
    (hash) => `0X${hash.slice(2)}`,
  ),
  written(
    "no-prefix",
    "same",
    "the transaction hash without 0x",
    "Clients write hashes in both ways. The bytes are the same.",
    (hash) => hash.slice(2),
  ),
  {
    ...{ ...claims, id: "short-compose-hash", moments: [malformed] },
    story: "The client writes the compose hash with 31 bytes.",
    why: "The event has 32 bytes. A padded hash would be that of another document.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      yield { composeHash: world.composeHash.slice(0, -2), transactionHash };
    },
  },
  {
    ...{ ...claims, id: "upper-case-compose-hash", moments: [proven] },
    story: "The client writes the compose hash with upper-case digits and without 0x.",
    why: "The bytes are the same.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      yield { composeHash: world.composeHash.slice(2).toUpperCase(), transactionHash };
    },
  },
  {
    ...{ ...endpoints, id: "claimed-chain", moments: [verdicts("unknown", "proven", "unknown")] },
    story: "The app is on chain 1, and the endpoint serves this chain, which has an app at the same address.",
    why: "Addresses repeat across chains. A receipt does not say its chain, so its reader must ask for the id first.",
    async *play(world) {
      yield { chainId: 1, transactionHash: await sendCall(world, adding(world)) };
    },
  },
  {
    ...{ ...endpoints, id: "endpoint-of-other-chain", moments: [verdicts("unknown", "proven", "unknown")] },
    story: "The endpoint is configured for the app's chain, and serves another one.",
    why: "It is the judge's own mistake, and no fault of the claim. Nothing is known.",
    async *play(world) {
      const answer = (): EndpointAnswer => async (call, pass) => (call.method === "eth_chainId" ? "0x1" : pass());
      yield { transactionHash: await sendCall(world, adding(world)), answer };
    },
  },
  {
    ...{ ...endpoints, id: "late-receipt" },
    moments: [verdicts("waiting", "not-mined", "not-mined", "at the first look"), proven],
    story: "The endpoint knows the mined transaction, and has no receipt yet.",
    why: "Nodes behind a load balancer differ by seconds. A receipt that is missing once says nothing.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      yield { transactionHash, answer: withReceipt(async () => null) };
      yield { transactionHash };
    },
  },
  {
    ...{ ...endpoints, id: "late-transaction" },
    moments: [notFound("at the first look"), proven],
    story: "The endpoint does not know the mined transaction at all yet.",
    why: "This cannot be told from an unknown hash. So a client may confirm again after HTTP 467.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      const isLate = ({ method }: { readonly method: string }) => /^eth_getTransaction(Receipt|ByHash)$/.test(method);
      const answer = (): EndpointAnswer => async (call, pass) => (isLate(call) ? null : pass());
      yield { transactionHash, answer };
      yield { transactionHash };
    },
  },
  {
    ...{ ...endpoints, id: "late-block", moments: [verdicts("unknown", "proven", "applied")] },
    story: "The endpoint has the receipt, and its newest block is older than the receipt's.",
    why: "Its state is older than the receipt. A state that does not allow the hash would prove nothing.",
    async *play(world) {
      const before = numberToHex(await getBlockNumber(world.client));
      const answer = (): EndpointAnswer => async (call, pass) => (call.method === "eth_blockNumber" ? before : pass());
      yield { transactionHash: await sendCall(world, adding(world)), answer };
    },
  },
  {
    ...{ ...endpoints, id: "pending-receipt", moments: [verdicts("waiting", "not-mined", "not-mined")] },
    story: "The node returns a receipt of its pending block, with a status and logs and without a block.",
    why: "Nothing is mined. The pending block may never come.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      const pending = { blockNumber: null, blockHash: null };
      yield { transactionHash, answer: withReceipt(async (pass) => ({ ...Object(await pass()), ...pending })) };
    },
  },
  {
    ...{ ...endpoints, id: "receipt-of-another-transaction", moments: [verdicts("unknown", "unknown", "unknown")] },
    story: "A proxy answers with the receipt of another transaction, which added the hash.",
    why: "The answer is about another question. It says nothing about the named transaction.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world), { from: world.stranger }); // reverts
      const other = await sendCall(world, adding(world));
      const params = [other];
      const ask = () => world.provider.request({ method: "eth_getTransactionReceipt", params });
      yield { transactionHash, answer: withReceipt(ask) };
    },
  },
  {
    ...{ ...endpoints, id: "receipt-of-a-dropped-block" },
    moments: [verdicts("transaction-not-verified", "proven", "not-mined")],
    story: "A reorganisation dropped the transaction, another one added the hash, and the node serves the old receipt.",
    why: "No block of the chain has the transaction. The receipt's block hash is not that of the block at its number.",
    async *play(world) {
      const back = await snapshot(world);
      const transactionHash = await sendCall(world, adding(world), { fee: 2n });
      const method = "eth_getTransactionReceipt";
      const old = await world.provider.request({ method, params: [transactionHash] });
      await back();
      await mine(world);
      await sendCall(world, adding(world));
      yield { transactionHash, answer: withReceipt(async () => old) };
    },
  },
  {
    ...{ ...endpoints, id: "receipt-of-a-block-to-come", moments: [verdicts("unknown", "proven", "unknown")] },
    story: "The receipt names a block that the endpoint does not have.",
    why: "The endpoint contradicts itself. Its state may be older than the receipt.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      const block = { blockNumber: numberToHex((await getBlockNumber(world.client)) + 1_000n) };
      yield { transactionHash, answer: withReceipt(async (pass) => ({ ...Object(await pass()), ...block })) };
    },
  },
];

/** A claim whose transaction added the hash, and whose text is written in another way. */
function written(
  id: string,
  outcome: "malformed" | "same",
  what: string,
  why: string,
  write: (hash: string) => string,
): ReceiptCase {
  return {
    ...{ ...claims, id, why },
    moments: [outcome === "same" ? proven : malformed],
    story: `The client writes ${what}.`,
    async *play(world) {
      yield { transactionHash: write(await sendCall(world, adding(world))) };
    },
  };
}

/** The endpoint's block with this tag is the one at this height. */
function taggedAt(tag: "safe" | "finalized", height: bigint): () => EndpointAnswer {
  return () => async (call, pass) => {
    const isTagged = call.method === "eth_getBlockByNumber" && call.params?.[0] === tag;
    return pass(isTagged ? [numberToHex(height), false] : call.params);
  };
}

/** Answers each question for a receipt in this way. */
function withReceipt(answer: (pass: () => Promise<unknown>) => Promise<unknown>): () => EndpointAnswer {
  return () => async (call, pass) => (call.method === "eth_getTransactionReceipt" ? answer(pass) : pass());
}
