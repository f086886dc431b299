import { expect } from "chai";
import { readText, repositoryFiles } from "../../../support/repository/files.ts";

/** Whatever makes a signature, or asks a node or a wallet for one, or sends signed bytes. */
const ways = [
  /\beth_send(?:Raw)?Transaction\b/,
  /\bwallet_sendCalls\b|\beth_sign\w*\b|\bpersonal_sign\b/,
  /\b(?:send(?:Raw)?Transaction|sendCalls|writeContract|deployContract|walletActions|prepareAuthorization)\b/,
  /\bsign(?:Transaction|Authorization|Message|TypedData)\b/,
  /\bcreateWalletClient\b/,
];

/** May pay: the place itself, what sets up a chain of its own, and what impersonates accounts on such a chain. */
const payers = ["src/chain/transactions/", "src/world/", "src/testing/", "src/rehearsal/impersonation.ts"];
/** Signs what a Safe may execute. That pays nothing, and whoever executes it pays through the ledger. */
const safeSigner = "src/governance/safe-sign.ts";

function isCode(path: string): boolean {
  return path.startsWith("src/") && path.endsWith(".ts") && !path.startsWith("src/generated/");
}

function waysIn(text: string): readonly string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, "");
  return ways.flatMap((way) => way.exec(code)?.[0] ?? []);
}

describe("signing and sending", () => {
  it("is recognised", () => {
    for (const code of [
      'client.request({ method: "eth_sendRawTransaction", params })',
      "await writeContract(client, {})",
      "account.signAuthorization({})",
    ])
      expect(waysIn(code), code).to.have.length(1);
    expect(waysIn("// sendTransaction\n/** signTransaction */\nsendTransactions(run)")).to.deep.equal([]);
  });

  it("happens in src/chain/transactions alone, except for the transactions of a Safe", () => {
    const elsewhere = repositoryFiles()
      .filter((path) => isCode(path) && path !== safeSigner && !payers.some((payer) => path.startsWith(payer)))
      .flatMap((path) => waysIn(readText(path)).map((way) => `${path}: ${way}`));
    expect(elsewhere).to.deep.equal([]);
  });

  it("is written to the ledger first: one file there broadcasts, and one signs", () => {
    const inside = repositoryFiles().filter((path) => path.startsWith("src/chain/transactions/"));
    const filesWith = (pattern: RegExp) =>
      inside.filter((path) => pattern.test(readText(path).replace(/\/\*[\s\S]*?\*\//g, "")));
    expect(filesWith(/\bsendRawTransaction\(|"eth_sendTransaction"/)).to.deep.equal([
      "src/chain/transactions/broadcast.ts",
    ]);
    expect(filesWith(/\.signTransaction\(/)).to.deep.equal(["src/chain/transactions/prepare.ts"]);
    expect(filesWith(/\bsignAuthorization\b/)).to.deep.equal(["src/chain/transactions/prepare.ts"]);
    expect(waysIn(readText(safeSigner))).to.have.members(["eth_signTypedData_v4", "signTypedData"]);
  });
});
