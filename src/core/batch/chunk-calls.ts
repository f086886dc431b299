import { hexToBytes } from "viem";
import type { PolicyCall } from "./policy-call.ts";

/** Most gas one transaction may have as its limit on Base and since Fusaka on Ethereum (EIP-7825). */
export const transactionGasCeiling = 16_777_216n;

/**
 * Upper bounds in gas of one call inside a batch, before refunds, which the ceiling does not count: a write to a
 * cold slot, both events, the way through a proxy, and room for other versions of the contract.
 */
const removal = 14_000n;
const addition = 36_000n;
const anythingElse = 100_000n;
/** The transaction itself, an authorisation, and the first touch of a proxy and its implementation. */
const fixed = 80_000n;

/**
 * Cuts calls into batches that each fit a transaction, in their order. A call that does not fit at all gets a batch
 * of its own; the node's estimate then says so.
 *
 * @param wrapperBytes calldata a batch format adds per call; counted as zeros
 */
export function chunkCalls(
  calls: readonly PolicyCall[],
  {
    ceiling = transactionGasCeiling,
    wrapperBytes = 160,
  }: { readonly ceiling?: bigint; readonly wrapperBytes?: number },
): readonly (readonly PolicyCall[])[] {
  const chunks: PolicyCall[][] = [];
  let left = 0n;
  for (const call of calls) {
    const gas = boundOf(call) + calldataGas(call) + 4n * BigInt(wrapperBytes);
    const current = chunks.at(-1);
    if (current === undefined || gas > left) {
      chunks.push([call]);
      left = ceiling - fixed - gas;
    } else {
      current.push(call);
      left -= gas;
    }
  }
  return chunks;
}

function boundOf({ functionName }: PolicyCall): bigint {
  if (functionName.startsWith("remove")) return removal;
  return functionName.startsWith("add") ? addition : anythingElse;
}

function calldataGas({ to, data }: PolicyCall): bigint {
  return [...hexToBytes(to), ...hexToBytes(data)].reduce((gas, byte) => gas + (byte === 0 ? 4n : 16n), 0n);
}
