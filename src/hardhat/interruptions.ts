import type { UserInterruptionHooks } from "hardhat/types/hooks";
import { printable } from "../core/text.ts";

/** The name under which @nomicfoundation/hardhat-ledger says what its device does. */
const ledgerPlugin = "hardhat-ledger";

/** Hardhat writes such messages to standard output, where `--json` allows one object only. */
export default async (): Promise<Partial<UserInterruptionHooks>> => ({
  displayMessage: async (context, interruptor, message, next) => {
    if (interruptor !== ledgerPlugin) return next(context, interruptor, message);
    process.stderr.write(`  ${interruptor}: ${printable(message)}\n`);
  },
});
