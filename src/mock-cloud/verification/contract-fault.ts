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
  return fault === null ? undefined : "there is no such contract at the address";
}
