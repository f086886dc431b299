export { type BootInfoChanges, bootInfoOf, testComposeHash, testDeviceId, testOsImageHash } from "./boot.ts";
export { dstackMatchers } from "./chai-matchers.ts";
export {
  type DeployedDstack,
  type DeployTestAppParameters,
  type DstackAppContract,
  type DstackKmsContract,
  deployDstack,
  type TestChain,
  type TestClient,
} from "./deploy-dstack.ts";
export { playReceiptCase, receiptCases } from "./receipts/play-receipt-case.ts";
export {
  type BackendVerdict,
  type EventVerdict,
  type PlannedOwner,
  type PlanVerdict,
  type ReceiptCase,
  type ReceiptClaim,
  type ReceiptGroup,
  type ReceiptMoment,
  type ReceiptVerdicts,
  receiptGroups,
} from "./receipts/receipt-case.ts";
export {
  type ReceiptProvider,
  type ReceiptRequest,
  type ReceiptWorld,
  type StartReceiptWorldOptions,
  startReceiptWorld,
} from "./receipts/world.ts";
