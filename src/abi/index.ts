export { batchExecutorAbi } from "./batch-executor.ts";
export { dstackAppAbi } from "./dstack-app.ts";
export { dstackKmsAbi } from "./dstack-kms.ts";
