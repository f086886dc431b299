import { mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { type Address, getAddress, type Hex, zeroAddress } from "viem";
import { hashSafeTx, type SafeTx } from "../../../../src/core/safe.ts";
import {
  loadProposal,
  mergeProposals,
  readProposalFile,
  type SafeProposal,
  saveProposal,
  writeProposalFile,
} from "../../../../src/governance/safe-proposal.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const safe = getAddress(`0x${"5a".repeat(20)}`);
const domain = { chainId: 8453, safe, version: "1.4.1" };
const safeTx: SafeTx = {
  to: getAddress(`0x${"ab".repeat(20)}`),
  value: 0n,
  data: "0x12345678",
  operation: 0,
  safeTxGas: 0n,
  baseGas: 0n,
  gasPrice: 0n,
  gasToken: zeroAddress,
  refundReceiver: zeroAddress,
  nonce: 7n,
};
const owner = (digit: number): Address => getAddress(`0x${`${digit}${digit}`.repeat(20)}`);
const confirmation = (digit: number) => ({ owner: owner(digit), signature: `0x${"0a".repeat(65)}` as Hex });
const proposal: SafeProposal = {
  ...domain,
  safeTx,
  safeTxHash: hashSafeTx(safeTx, domain),
  plan: `0x${"77".repeat(32)}`,
  confirmations: [confirmation(1)],
};
const problemOf = (text: string) => {
  const reading = readProposalFile(text);
  return "problem" in reading ? reading.problem : undefined;
};

describe("a proposal file", () => {
  const directory = useTemporaryDirectory();

  it("holds the proposal, for this user alone", async () => {
    const path = join(directory.path, "proposal.json");
    await saveProposal(path, proposal);
    expect(await loadProposal(path)).to.deep.equal(proposal);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    await saveProposal(path, { ...proposal, confirmations: [] });
    expect((await loadProposal(path)).confirmations).to.deep.equal([]);
  });

  it("is refused if a field of the transaction or a hash was changed", () => {
    const written = JSON.parse(writeProposalFile(proposal));
    const changes: readonly object[] = [
      { chainId: 1 },
      { safe: owner(9) },
      { version: "1.2.0" },
      { safeTxHash: `0x${"00".repeat(32)}` },
      { domainHash: `0x${"00".repeat(32)}` },
      { messageHash: `0x${"00".repeat(32)}` },
      ...Object.entries({
        to: owner(9),
        value: "1",
        data: "0x",
        operation: 1,
        safeTxGas: "1",
        baseGas: "1",
        gasPrice: "1",
        gasToken: owner(9),
        refundReceiver: owner(9),
        nonce: "8",
      }).map(([name, value]) => ({ safeTx: { ...written.safeTx, [name]: value } })),
    ];
    for (const change of changes)
      expect(problemOf(JSON.stringify({ ...written, ...change })), JSON.stringify(change)).to.include("its hashes");
    expect(problemOf(JSON.stringify(written))).to.equal(undefined);
  });

  it("is refused if parts are missing, malformed or unknown", () => {
    const written = JSON.parse(writeProposalFile(proposal));
    const wrong: readonly object[] = [
      { more: 1 },
      { plan: "0x12" },
      { chainId: "8453" },
      { version: "1.4.1 or so" },
      { version: undefined },
      { safeTx: { ...written.safeTx, more: 1 } },
      { safeTx: { ...written.safeTx, nonce: "-1" } },
      { safeTx: { ...written.safeTx, nonce: 7 } },
      { safeTx: { ...written.safeTx, value: "1e3" } },
      { safeTx: { ...written.safeTx, data: "0x1" } },
      { safeTx: { ...written.safeTx, operation: 2 } },
      { confirmations: [{ owner: "0x12", signature: "0x" }] },
      { confirmations: [{ owner: owner(1), signature: "zz" }] },
      { confirmations: [{ ...confirmation(1), more: 1 }] },
      { confirmations: Array(1_001).fill(confirmation(1)) },
    ];
    for (const change of wrong)
      expect(problemOf(JSON.stringify({ ...written, ...change })), JSON.stringify(change).slice(0, 80)).to.include(
        "missing, malformed or unknown",
      );
    expect(problemOf(JSON.stringify({ ...written, schemaVersion: 2 }))).to.include("version");
    for (const text of ["", "null", "[]", "{}", '{"kind":"dstack-plan"}', "\u0000"])
      expect(problemOf(text), text).to.include("not a proposal");
  });

  it("is not read through a link or from a folder, and overwrites nothing else", async () => {
    const path = join(directory.path, "proposal.json");
    await saveProposal(path, proposal);
    await symlink(path, join(directory.path, "link.json"));
    await mkdir(join(directory.path, "folder.json"));
    await writeFile(join(directory.path, "notes.json"), "mine");
    for (const name of ["link.json", "folder.json", "notes.json", "missing.json"])
      expect(await rejection(loadProposal(join(directory.path, name))), name).to.include({ code: "DSTK-1302" });
    for (const name of ["link.json", "folder.json", "notes.json"])
      expect(await rejection(saveProposal(join(directory.path, name), proposal)), name).to.include({
        code: "DSTK-1302",
      });
    expect(await readFile(join(directory.path, "notes.json"), "utf8")).to.equal("mine");
  });

  it("joins the confirmations of several copies, each once", () => {
    const copy = (path: string, ...digits: number[]) => ({
      path,
      proposal: { ...proposal, confirmations: digits.map(confirmation) },
    });
    const merged = mergeProposals([copy("a", 1), copy("b", 2, 1), copy("c")]);
    expect(merged?.confirmations).to.deep.equal([confirmation(1), confirmation(2)]);
    expect(mergeProposals([])).to.equal(undefined);
  });

  it("is not joined with the proposal of another transaction, Safe, chain or plan", () => {
    for (const change of [
      { safeTxHash: `0x${"00".repeat(32)}` as Hex },
      { safe: owner(9) },
      { chainId: 1 },
      { plan: `0x${"78".repeat(32)}` as Hex },
    ])
      expect(() =>
        mergeProposals([
          { path: "a", proposal },
          { path: "b", proposal: { ...proposal, ...change } },
        ]),
      )
        .to.throw()
        .with.property("code", "DSTK-1302");
  });
});
