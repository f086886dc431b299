import {
  buildContractSignature,
  buildSignatureBytes,
  calculateSafeMessageHash,
  calculateSafeTransactionHash,
  EthSafeSignature,
  preimageSafeTransactionHash,
} from "@safe-global/protocol-kit";
import { expect } from "chai";
import { network } from "hardhat";
import {
  type Address,
  concat,
  encodeAbiParameters,
  type Hex,
  keccak256,
  type LocalAccount,
  type PrivateKeyAccount,
  zeroAddress,
} from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { readContract, sendTransaction, waitForTransactionReceipt, writeContract } from "viem/actions";
import { hashSafeTx, type SafeTx, safeTxHashes, safeTypedData } from "../../../../src/core/safe.ts";
import { encodeExecTransaction } from "../../../../src/core/safe-calldata.ts";
import {
  decodeSafeSignatures,
  encodeSafeSignatures,
  type SafeSignature,
  toSafeSignature,
} from "../../../../src/core/safe-signing.ts";
import { clientOf, fundedAccount } from "../../../support/chain/deploy-dstack.ts";
import { deploySafe, type SafeVersion, safeArtifact } from "../../../support/chain/deploy-owner-contracts.ts";
import { rejection } from "../../../support/rejection.ts";

const chainId = 8453;
const to: Address = `0x${"ab".repeat(20)}`;
const [anna, ben, carl] = [newKey(), newKey(), newKey()];
const simple: SafeTx = {
  to,
  value: 0n,
  data: "0x12345678",
  operation: 0,
  safeTxGas: 0n,
  baseGas: 0n,
  gasPrice: 0n,
  gasToken: zeroAddress,
  refundReceiver: zeroAddress,
  nonce: 0n,
};
/** Every field differs, so that two swapped fields change the hash. */
const full: SafeTx = {
  to,
  value: 1n,
  data: `0x${"cd".repeat(70)}`,
  operation: 1,
  safeTxGas: 2n,
  baseGas: 3n,
  gasPrice: 4n,
  gasToken: `0x${"05".repeat(20)}`,
  refundReceiver: `0x${"06".repeat(20)}`,
  nonce: 7n,
};

function newKey(): PrivateKeyAccount {
  return privateKeyToAccount(generatePrivateKey());
}

/** As protocol-kit has it: decimal strings. */
function ofKit(safeTx: SafeTx) {
  const { value, safeTxGas, baseGas, gasPrice, nonce } = safeTx;
  const decimal = { value: `${value}`, safeTxGas: `${safeTxGas}`, baseGas: `${baseGas}`, gasPrice: `${gasPrice}` };
  return { ...safeTx, ...decimal, nonce: Number(nonce) };
}

for (const version of ["1.4.1", "1.5.0"] as const satisfies SafeVersion[]) {
  describe(`signing a transaction of the published Safe ${version}`, () => {
    const { abi } = safeArtifact(version, "SafeL2.sol/SafeL2.json");
    const handler = "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json";
    const withHandler = [...abi, ...safeArtifact(version, handler).abi];
    let client: ReturnType<typeof clientOf>;
    let payer: LocalAccount;
    /** Owner of the other one. Owned by Carl. */
    let inner: Address;
    let safe: Address;

    before(async () => {
      const connection = await network.create("local");
      client = clientOf(connection);
      payer = await fundedAccount(connection);
      const options = { payer, version, withFallbackHandler: true } as const;
      inner = await deploySafe(client, { ...options, owners: [carl.address], threshold: 1 });
      const owners = [anna.address, ben.address, payer.address, inner];
      safe = await deploySafe(client, { ...options, owners, threshold: 4 });
    });

    const read = (functionName: string, args: readonly unknown[]) =>
      readContract(client, { address: safe, abi: withHandler, functionName, args });
    const fieldsOf = (tx: SafeTx) =>
      [
        tx.to,
        tx.value,
        tx.data,
        tx.operation,
        tx.safeTxGas,
        tx.baseGas,
        tx.gasPrice,
        tx.gasToken,
        tx.refundReceiver,
      ] as const;

    it("computes domain hash, message hash and Safe transaction hash as the contract does", async () => {
      for (const safeTx of [simple, full]) {
        const { domainHash, messageHash, safeTxHash } = safeTxHashes(safeTx, { chainId, safe, version });
        const fields = [...fieldsOf(safeTx), safeTx.nonce];
        expect(await read("getTransactionHash", fields)).to.equal(safeTxHash);
        expect(await read("domainSeparator", [])).to.equal(domainHash);
        expect(await read("encodeTransactionData", fields)).to.equal(concat(["0x1901", domainHash, messageHash]));
        expect(hashSafeTx(safeTx, { chainId, safe, version })).to.equal(safeTxHash);
      }
    });

    it("executes with a signature of each kind, encoded as protocol-kit encodes them", async () => {
      const domain = { chainId, safe, version };
      const safeTxHash = hashSafeTx(simple, domain);
      const nestedHash = calculateSafeMessageHash(inner, messageFor(version, safe), version, BigInt(chainId));
      const nested = await carl.sign({ hash: nestedHash as Hex });
      const signatures: SafeSignature[] = [
        await toSafeSignature({
          signature: await anna.signTypedData(safeTypedData(simple, domain)),
          safeTxHash,
          signer: anna.address,
        }),
        await toSafeSignature({
          signature: await ben.signMessage({ message: { raw: safeTxHash } }),
          safeTxHash,
          signer: ben.address,
        }),
        { kind: "contract", signer: inner, signature: nested },
        { kind: "approved-hash", signer: payer.address },
      ];
      const encoded = encodeSafeSignatures(signatures);

      const ofKit = signatures.map((entry) =>
        entry.kind === "approved-hash"
          ? new EthSafeSignature(entry.signer, `0x${entry.signer.slice(2).padStart(64, "0")}${"0".repeat(64)}01`)
          : new EthSafeSignature(entry.signer, entry.signature),
      );
      ofKit[2] = (await buildContractSignature(
        [new EthSafeSignature(carl.address, nested)],
        inner,
      )) as EthSafeSignature;
      expect(encoded).to.equal(buildSignatureBytes(ofKit).toLowerCase());

      const decoded = await decodeSafeSignatures({ signatures: encoded, safeTxHash });
      expect(decoded).to.have.deep.members(signatures);
      expect(encodeSafeSignatures(decoded)).to.equal(encoded);

      await read("checkNSignatures", [safeTxHash, messageFor(version, safe), encoded, 4n]).then(
        () => expect.fail("Nobody approved the hash on the chain."),
        (error) => expect(String(error)).to.contain("GS02"),
      );
      const data = encodeExecTransaction(simple, encoded);
      const hash = await sendTransaction(client, { account: payer, chain: client.chain, to: safe, data });
      expect((await waitForTransactionReceipt(client, { hash })).status).to.equal("success");
      expect(await read("nonce", [])).to.equal(1n);
    });

    it("has signatures that checkNSignatures accepts, with a hash that the owner approved on the chain", async () => {
      const later = { ...full, nonce: 1n };
      const safeTxHash = hashSafeTx(later, { chainId, safe, version });
      const approve = { address: safe, abi, functionName: "approveHash", args: [safeTxHash] } as const;
      const hash = await writeContract(client, { ...approve, account: payer, chain: client.chain });
      await waitForTransactionReceipt(client, { hash });
      const signatures: SafeSignature[] = [
        { kind: "ecdsa", signer: anna.address, signature: await anna.sign({ hash: safeTxHash }) },
        { kind: "approved-hash", signer: payer.address },
      ];
      await read("checkNSignatures", [safeTxHash, "0x", encodeSafeSignatures(signatures), 2n]);
      const wrongOrder = concat([...(await inWrongOrder(signatures))]);
      const refused = read("checkNSignatures", [safeTxHash, "0x", wrongOrder, 2n]);
      expect(String(await rejection(refused))).to.contain("GS026");
    });

    /** What a Safe 1.4.1 hands to a contract that is its owner: the bytes behind the hash. 1.5.0: the hash. */
    function messageFor(of: SafeVersion, outer: Address): Hex {
      const preimage = preimageSafeTransactionHash(outer, ofKit(simple), of, BigInt(chainId)) as Hex;
      return of === "1.4.1" ? preimage : encodeAbiParameters([{ type: "bytes32" }], [keccak256(preimage)]);
    }

    async function inWrongOrder(signatures: readonly SafeSignature[]): Promise<readonly Hex[]> {
      const single = signatures.map((entry) => ({ entry, bytes: encodeSafeSignatures([entry]) }));
      return single
        .toSorted((one, other) => (one.entry.signer.toLowerCase() < other.entry.signer.toLowerCase() ? 1 : -1))
        .map(({ bytes }) => bytes);
    }
  });
}

describe("the hash of a Safe transaction", () => {
  it("agrees with protocol-kit for every version since 1.0.0", () => {
    for (const version of ["1.0.0", "1.1.1", "1.2.0", "1.3.0", "1.3.0+L2", "1.4.1", "1.5.0"])
      for (const safeTx of [simple, full])
        expect(hashSafeTx(safeTx, { chainId, safe: to, version })).to.equal(
          calculateSafeTransactionHash(to, ofKit(safeTx), version, BigInt(chainId)),
        );
  });
});
