import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Account, Address } from "viem";
import { type Ledger, memoryLedger, openLedger } from "../chain/transactions/ledger.ts";
import { makeDirectory, makeOwnDirectory } from "../files/own-file.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import { parseSending, type SendingArguments, type SendingChoices } from "./sending.ts";

/** What a command needs to send. Key and ledger are read only when needed, because reading the chain needs neither. */
export interface Signing {
  /** The project's folder, which holds the ledger and what was prepared. */
  readonly root: string;
  readonly choices: SendingChoices;
  /** The account that pays, preferably the wanted one. */
  readonly signer: (purpose: string, wanted?: Address) => Promise<Account>;
  readonly openLedger: (options?: OpenTaskLedgerOptions) => Promise<Ledger>;
}

export interface OpenTaskLedgerOptions {
  /** False for a dry run, which creates no file. @default true */
  readonly isKept?: boolean | undefined;
}

/** @throws InvalidArgumentError, InvalidHexError */
export function signingOf(args: SendingArguments, host: CommandHost, chain: ConnectedChain): Signing {
  return {
    root: host.root,
    choices: parseSending(args, host.settings),
    signer: (purpose, wanted) => host.readSigner({ chain, wanted, purpose }),
    openLedger: (options) => openTaskLedger(args, host, options),
  };
}

/**
 * Opens the ledger in which a project's tasks record what they sign: the named file, or else one in the project's
 * `.dstack`, which no other user may read.
 *
 * @throws LedgerError, UnusableFileError
 */
export async function openTaskLedger(
  { ledger }: Pick<SendingArguments, "ledger">,
  { root, settings }: Pick<CommandHost, "root" | "settings">,
  { isKept = true }: OpenTaskLedgerOptions = {},
): Promise<Ledger> {
  const named = ledger ?? settings.ledger;
  const path = named === undefined ? join(root, ".dstack", "ledger.sqlite") : resolve(root, named);
  if (!isKept && !existsSync(path)) return memoryLedger();
  await (named === undefined ? makeOwnDirectory : makeDirectory)(dirname(path));
  return openLedger(path);
}
