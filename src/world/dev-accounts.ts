import { toHex } from "viem";
import { type HDAccount, mnemonicToAccount } from "viem/accounts";
import type { Hex } from "../core/ids.ts";

/** The phrase every Hardhat and anvil chain funds. Public: whatever these accounts own on a real chain is lost. */
const mnemonic = "test test test test test test test test test test test junk";

/** The nth funded account of a local chain. */
export function devAccount(index: number): HDAccount {
  return mnemonicToAccount(mnemonic, { addressIndex: index });
}

/** Its key, for programs that cannot be handed an account. */
export function devPrivateKey(index: number): Hex {
  const { privateKey } = devAccount(index).getHdKey();
  if (privateKey === null) throw new TypeError("A key derived from a phrase has its private part.");
  return toHex(privateKey);
}
