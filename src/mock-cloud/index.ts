export { buildMockCloud, type MockCloud, type OperationRecord } from "./app.ts";
export { type Clock, systemClock } from "./clock.ts";
export type * from "./events.ts";
export type { FaultKind, FaultRule, SetFault } from "./faults/rule.ts";
export type * from "./options.ts";
export { type RunningMockCloud, type StartMockCloudOptions, startMockCloud } from "./start.ts";
export {
  type HashProblem,
  type JudgedLog,
  type JudgedReceipt,
  judgeReceipt,
  type RegistrationClaim,
  type RegistrationEvidence,
  type RegistrationVerdict,
  type TransactionProblem,
} from "./verification/judge-receipt.ts";
export { type VerifyRegistrationParameters, verifyRegistration } from "./verification/verify-registration.ts";
