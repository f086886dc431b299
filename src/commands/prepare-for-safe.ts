import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Address } from "viem";
import { type BuildSafeBatchParameters, buildSafeBatch, type SafeBatch } from "../batch/build-safe-batch.ts";
import { estimateSafePrice } from "../batch/estimate-batch-price.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError, UnusableFileError } from "../errors/index.ts";
import { writeWholeFile } from "../files/own-file.ts";
import { readBoundedText } from "../files/read-bounded.ts";
import { showPrice } from "../output/price.ts";
import type { ConnectedChain } from "./host.ts";
import type { TaskIo } from "./run.ts";

export interface PrepareForSafeParameters extends Pick<BuildSafeBatchParameters, "calls" | "allowNoEffect"> {
  readonly safe: Address;
  readonly file: string | undefined;
  /** Why it is not sent, for the user. */
  readonly reason: string;
  /** Shows everything and writes no file. @default false */
  readonly dryRun?: boolean | undefined;
  /** Whether the task has sent a transaction before. @default false */
  readonly hasPaid?: boolean | undefined;
}

/** Calls prepared for the owners of a Safe. Nothing was sent. */
export interface PreparedForSafe extends Omit<SafeBatch, "calls" | "file"> {
  readonly mode: "safe";
  /** Why this mode was chosen, for the user. */
  readonly reason: string;
  /** Path of the file for the Safe app; null after a dry run, which writes none. */
  readonly file: string | null;
  /** What the transaction will cost the account that executes it. */
  readonly price: PriceEstimate;
  readonly calls: readonly { readonly description: string; readonly status: "prepared" }[];
}

/**
 * Writes the file that a Safe's owners import into its Transaction Builder, and prints the hash that they must see.
 *
 * @throws InvalidArgumentError if the file cannot be written or holds something else, and what buildSafeBatch throws
 */
export async function prepareForSafe(
  { output }: Pick<TaskIo, "output">,
  { client, chainId }: ConnectedChain,
  {
    safe,
    file: wantedFile,
    reason,
    calls: wanted,
    allowNoEffect,
    dryRun = false,
    hasPaid = false,
  }: PrepareForSafeParameters,
): Promise<PreparedForSafe> {
  const prepared = await buildSafeBatch(client, { calls: wanted, allowNoEffect, safe, chainId });
  const price = await estimateSafePrice(client, prepared);
  const { calls, file: content, ...batch } = prepared;
  // Named after its content: the Safe's nonce stays the same until it executes something, and another file must not be
  // overwritten.
  const file = resolve(wantedFile ?? `safe-batch-${chainId}-${batch.safeTxHash.slice(2, 10)}.json`);
  if (!dryRun) await write(file, `${JSON.stringify(content, null, 2)}\n`);
  output.line(
    `\n${hasPaid ? "These calls were not sent" : "Nothing was sent"}: ${reason}. The owners of ${batch.safe} execute it; ${batch.threshold} of ${batch.owners.length} must sign:`,
  );
  output.line(`  file for the Transaction Builder   ${dryRun ? "none: this is a dry run" : file}`);
  output.line(`  or as one Safe transaction         to ${batch.safeTx.to}, operation ${batch.safeTx.operation}`);
  output.line(`  calldata                           ${batch.safeTx.data}`);
  output.line(`  nonce                              ${batch.safeTx.nonce}`);
  output.line(`  hash their wallets must show       ${batch.safeTxHash}`);
  output.line("\nWhat the account pays that executes it:");
  showPrice(output, price);
  if (calls.some(({ functionName }) => functionName.startsWith("remove")))
    output.line("\nA CVM may start to use what is removed before the last owner signs. No check runs at that time.");
  return {
    ...batch,
    mode: "safe",
    reason,
    file: dryRun ? null : file,
    price,
    calls: calls.map(({ description }) => ({ description, status: "prepared" as const })),
  };
}

async function write(file: string, text: string): Promise<void> {
  if (await holdsSomethingElse(file)) {
    throw new InvalidArgumentError(`The file ${file} is not a Safe batch, and was not overwritten.`, {
      nextStep: "Name another one: --batch safe:FILE.",
    });
  }
  try {
    await writeWholeFile(file, text);
  } catch (cause) {
    const why = cause instanceof UnusableFileError ? `: ${cause.context.problem}` : "";
    throw new InvalidArgumentError(`The file ${file} cannot be written${why}.`, {
      nextStep: "Name another one: --batch safe:FILE.",
      cause,
    });
  }
}

/** Whether the file holds anything but an earlier batch. An earlier batch may be overwritten. */
async function holdsSomethingElse(file: string): Promise<boolean> {
  const isFile = await stat(file).then(
    (found) => found.isFile() && found.size > 0,
    () => false,
  );
  return isFile && !isBatch(await readBoundedText(file).catch(() => ""));
}

function isBatch(text: string): boolean {
  try {
    const content: unknown = JSON.parse(text);
    return typeof content === "object" && content !== null && "transactions" in content && "chainId" in content;
  } catch {
    return false;
  }
}
