import { parseAccount } from "viem/accounts";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { findKmsGeneration, readAllowlist } from "../chain/read-app.ts";
import { readKmsPublicKey } from "../chain/read-kms.ts";
import { estimatePrice } from "../chain/transactions/price.ts";
import type { JudgedContract } from "../core/generation.ts";
import { type Hex, parseFixedHex } from "../core/ids.ts";
import { connectPayments, type PaymentParameters, planPayment } from "./connect-payments.ts";
import type { ChainPort } from "./ports.ts";

/** Connects the update's chain port to a viem client and a ledger. */
export function connectChain(client: ChainClient, payments: PaymentParameters): ChainPort {
  const { maxFeePerGas, maxPriorityFeePerGas } = payments;
  const namedFees = { maxFeePerGas, maxPriorityFeePerGas };
  const { account = client.account } = payments;
  return {
    signer: account && parseFixedHex("The signer's address", parseAccount(account).address, 20),
    readChainId: () => requireChain(client),
    judgeKms: (kms) => judgeKms(client, kms),
    readKmsPublicKey: (kms) => readKmsPublicKey(client, { kms }),
    async readAllowlist({ appId, composeHash, deviceId, kms }) {
      const [allowlist, ofKms] = await Promise.all([
        readAllowlist(client, { appId, composeHash, deviceId }),
        kms === undefined ? [] : judgeKms(client, kms),
      ]);
      return {
        blockNumber: allowlist.blockNumber,
        owner: parseFixedHex("An owner", allowlist.owner, 20),
        composeHashAllowed: allowlist.composeHashAllowed === true,
        deviceAllowed: deviceId === undefined || allowlist.deviceAllowed === true,
        contracts: [{ role: "app", address: appId, generation: allowlist.generation }, ...ofKms],
      };
    },
    estimatePrice: async (payments, from) => {
      const plans = await Promise.all(payments.map((payment) => planPayment(client, from, payment)));
      return estimatePrice(client, { transactions: plans.map(({ priced }) => priced), ...namedFees });
    },
    openPayments: (update) => connectPayments(client, { ...payments, account }, update),
  };
}

async function judgeKms(client: ChainClient, kms: Hex): Promise<JudgedContract[]> {
  const generation = await findKmsGeneration(client, { address: kms });
  return generation === undefined ? [] : [{ role: "KMS", address: kms, generation }];
}
