export { batchExecutorAbi } from "./generated/batch-executor-abi.ts";
export { dstackAppAbi } from "./generated/dstack-app-abi.ts";
export { dstackKmsAbi } from "./generated/dstack-kms-abi.ts";
