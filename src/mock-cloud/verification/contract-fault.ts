import {
  AbiDecodingDataSizeTooSmallError,
  AbiDecodingZeroDataError,
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
} from "viem";

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
    return `the contract reverted: ${fault.reason ?? fault.shortMessage}`;
  }
  if (fault !== null) return "there is no such contract at the address";
  const failure = error.walk(isExecutionFailure);
  return failure instanceof BaseError ? `the call failed: ${failure.details}` : undefined;
}

/** Nodes report a call that ran out of gas, or into an invalid opcode, under the code of many other problems. */
function isExecutionFailure(cause: unknown): boolean {
  const isNodeError = cause instanceof BaseError && "code" in cause && (cause.code === -32000 || cause.code === -32015);
  return (
    isNodeError && /out of gas|invalid (?:opcode|jump)|stack (?:over|under)flow|bad instruction/i.test(cause.details)
  );
}
