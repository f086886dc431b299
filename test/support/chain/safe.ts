import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { NetworkConnection } from "hardhat/types/network";
import {
  type Abi,
  type Address,
  concat,
  type Hex,
  isAddressEqual,
  type LocalAccount,
  type TransactionReceipt,
} from "viem";
import { waitForTransactionReceipt, writeContract } from "viem/actions";
import type { SafeBatch } from "../../../src/batch/build-safe-batch.ts";
import type { ChainClient } from "../../../src/chain/client.ts";

interface Artifact {
  readonly abi: Abi;
  readonly deployedBytecode: Hex;
}

const require = createRequire(import.meta.url);
const artifacts = "@safe-global/safe-smart-account/build/artifacts/contracts";
const artifactOf = (path: string): Artifact =>
  JSON.parse(readFileSync(require.resolve(`${artifacts}/${path}`), "utf8"));
const safeArtifact = artifactOf("SafeL2.sol/SafeL2.json");
const multiSendArtifact = artifactOf("libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json");

/** The address of the Safe team's MultiSendCallOnly 1.5.0 on every chain. */
export const multiSend: Address = "0xA83c336B20401Af773B6219BA5027174338D1836";

/** The Safe team's own code for it. */
export const multiSendCode = multiSendArtifact.deployedBytecode;

/** Puts the Safe team's own MultiSendCallOnly at that address. */
export async function installMultiSend({ networkHelpers }: NetworkConnection, address = multiSend): Promise<void> {
  await networkHelpers.setCode(address, multiSendCode);
}

export interface ExecuteSafeBatchParameters {
  readonly batch: Pick<SafeBatch, "safe" | "safeTx" | "safeTxHash">;
  /** The owners that sign. */
  readonly signers: readonly LocalAccount[];
  /** Sends the transaction, which any account may do. */
  readonly payer: LocalAccount;
}

/** Signs the hash as each owner's wallet would and lets the Safe execute. */
export async function executeSafeBatch(
  client: ChainClient,
  { batch: { safe, safeTx, safeTxHash }, signers, payer }: ExecuteSafeBatchParameters,
): Promise<TransactionReceipt> {
  const sorted = signers.toSorted((one, other) => (one.address.toLowerCase() < other.address.toLowerCase() ? -1 : 1));
  const signatures = await Promise.all(
    sorted.map((signer) => {
      if (signer.sign === undefined || isAddressEqual(signer.address, safe)) throw new Error("an owner with a key");
      return signer.sign({ hash: safeTxHash });
    }),
  );
  const { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver } = safeTx;
  const hash = await writeContract(client, {
    account: payer,
    chain: client.chain,
    address: safe,
    abi: safeArtifact.abi,
    functionName: "execTransaction",
    args: [to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, concat(signatures)],
  });
  return waitForTransactionReceipt(client, { hash });
}
