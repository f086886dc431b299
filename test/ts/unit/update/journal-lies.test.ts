import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { encodeFunctionData, keccak256, type TransactionSerializableEIP1559 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { JournalCorruptError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { openJournal } from "../../../../src/update/journal.ts";
import { rejection } from "../../../support/rejection.ts";
import { newEntries } from "../../../support/update/entries.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const { patched, prepared } = newEntries;
const signer = privateKeyToAccount(`0x${"0f".repeat(32)}`);
const stranger = privateKeyToAccount(`0x${"1f".repeat(32)}`);
const at = "2026-11-30T00:00:00.000Z";

const encode = (functionName: "addComposeHash" | "addDevice" | "removeComposeHash", value: `0x${string}`) =>
  encodeFunctionData({ abi: dstackAppAbi, functionName, args: [value] });

/** The signed bytes of the recorded payment, with something of them changed. */
async function signed(changes: Partial<TransactionSerializableEIP1559> = {}, by = signer) {
  const { chainId, nonce, to, data } = prepared;
  const rawTransaction = await by.signTransaction({
    ...{ type: "eip1559", chainId, nonce, to, data, gas: 60_000n },
    ...{ maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 1_000_000n },
    ...changes,
  });
  return { rawTransaction, transactionHash: keccak256(rawTransaction) };
}

describe("a recorded payment from a repository", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "journal.jsonl");

  async function open(changes: Record<string, unknown>) {
    const lines = [patched, { ...prepared, ...changes }];
    writeFileSync(path(), lines.map((line) => `${JSON.stringify({ v: 1, at, ...line })}\n`).join(""), { mode: 0o600 });
    await using journal = await openJournal(path());
    return journal.state.payments.size;
  }

  async function expectCorrupt(problem: RegExp, changes: Record<string, unknown>) {
    const error = await rejection(open(changes));
    if (!(error instanceof JournalCorruptError)) throw error;
    expect(error.context).to.include({ path: path(), line: 2 });
    expect(error.message).to.include(path()).and.match(problem);
    expect(readFileSync(path(), "utf8"), "left as it is").to.include('"prepared"');
  }

  const node = { rawTransaction: null, transactionHash: null };

  it("is accepted as this package writes it, from each kind of signer", async () => {
    expect(await open({})).to.equal(1);
    expect(await open(await signed())).to.equal(1);
    expect(await open(node)).to.equal(1);
  });

  it("is corrupt when its step and value differ from its calldata", async () => {
    const other = `0x${"c9".repeat(32)}` as const;
    for (const data of [
      encode("addComposeHash", other),
      encode("addDevice", prepared.value),
      encode("removeComposeHash", prepared.value),
      `${prepared.data}00`,
      "0x",
    ])
      await expectCorrupt(/calldata is not addComposeHash/, { ...node, data });
    await expectCorrupt(/target is not its app/, { ...node, to: stranger.address.toLowerCase() });
    await expectCorrupt(/tip/, { ...node, maxPriorityFeePerGas: "9000000000000000", maxFeePerGas: "9000000000000000" });
  });

  it("is corrupt when its signed bytes differ", async () => {
    const delegating = await signer.signTransaction({
      ...{ type: "eip7702", chainId: 8453, nonce: 7, to: prepared.to, data: prepared.data, gas: 60_000n },
      ...{ maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 1_000_000n },
      authorizationList: [await signer.signAuthorization({ address: stranger.address, chainId: 8453, nonce: 8 })],
    });
    await expectCorrupt(/another calldata/, await signed({ data: encode("addDevice", prepared.value) }));
    await expectCorrupt(/another target/, await signed({ to: stranger.address }));
    await expectCorrupt(/another chain/, await signed({ chainId: 1 }));
    await expectCorrupt(/another nonce/, await signed({ nonce: 8 }));
    await expectCorrupt(/pay/, await signed({ value: 1n }));
    await expectCorrupt(/another key/, await signed({}, stranger));
    await expectCorrupt(/delegate/, { rawTransaction: delegating, transactionHash: keccak256(delegating) });
    await expectCorrupt(/hash is not that/, { transactionHash: `0x${"71".repeat(32)}` });
    await expectCorrupt(/not both there/, { rawTransaction: null });
  });
});
