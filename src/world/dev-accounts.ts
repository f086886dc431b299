import { type HDAccount, mnemonicToAccount } from "viem/accounts";

/** The phrase every Hardhat and anvil chain funds. Public: whatever these accounts own on a real chain is lost. */
const mnemonic = "test test test test test test test test test test test junk";

/** The nth funded account of a local chain. */
export function devAccount(index: number): HDAccount {
  return mnemonicToAccount(mnemonic, { addressIndex: index });
}
