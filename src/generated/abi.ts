export { batchExecutorAbi } from "./batch-executor-abi.ts";
export { dstackAppAbi } from "./dstack-app-abi.ts";
export { dstackKmsAbi } from "./dstack-kms-abi.ts";
