import {
  AbiDecodingDataSizeTooSmallError,
  AbiDecodingZeroDataError,
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
} from "viem";

/** What nodes call a refusal by the EVM, under whatever code. */
const refusals = /revert|out of gas|invalid (?:opcode|jump)|stack (?:over|under)flow|bad instruction/i;
const revertCode = 3;

/**
 * What a contract answered when it did not answer properly, as one clause. `undefined` means that the fault lies
 * with the RPC endpoint or the way to it, so nothing is known about the contract.
 */
export function contractFault(error: unknown): string | undefined {
  if (!(error instanceof BaseError)) return undefined;
  const fault = error.walk(
    (cause) =>
      cause instanceof ContractFunctionRevertedError ||
      cause instanceof ContractFunctionZeroDataError ||
      cause instanceof AbiDecodingZeroDataError ||
      cause instanceof AbiDecodingDataSizeTooSmallError,
  );
  if (fault instanceof ContractFunctionRevertedError) {
    return isRevert(fault) ? `the contract reverted: ${fault.reason ?? fault.shortMessage}` : undefined;
  }
  if (fault !== null) return "there is no such contract at the address";
  const failure = error.walk(isExecutionFailure);
  return failure instanceof BaseError ? `the call failed: ${failure.details}` : undefined;
}

/** viem takes every internal error of a node for a revert, an outage too. Only the node's own words tell. */
function isRevert(fault: ContractFunctionRevertedError): boolean {
  const hasData = fault.raw !== undefined && fault.raw !== "0x";
  return hasData || fault.walk(hasRevertCode) !== null || refusals.test(fault.details);
}

function hasRevertCode(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === revertCode;
}

/** Nodes report a call that ran out of gas, or into an invalid opcode, under the code of many other problems. */
function isExecutionFailure(cause: unknown): boolean {
  const isNodeError = cause instanceof BaseError && "code" in cause && (cause.code === -32000 || cause.code === -32015);
  return isNodeError && refusals.test(cause.details);
}
