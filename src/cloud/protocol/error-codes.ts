/** HTTP statuses the API invented for updates of CVMs whose app lives in a contract. */
export const statusCodes = {
  /** Not a failure: register this compose hash on chain, then confirm. */
  hashRegistrationRequired: 465,
  hashInvalidOrExpired: 466,
  transactionNotVerified: 467,
  hashNotAllowed: 468,
} as const;

/** The API's own error codes, `ERR-<module>-<number>`, by meaning. */
export const errorCodes = {
  nodeNotFound: "ERR-01-001",
  composeFileRequired: "ERR-01-002",
  composeFileInvalid: "ERR-01-003",
  duplicateCvmName: "ERR-01-004",
  hashRegistrationRequired: "ERR-01-005",
  hashInvalidOrExpired: "ERR-01-006",
  transactionNotVerified: "ERR-01-007",
  hashNotAllowed: "ERR-01-008",
  instanceTypeNotFound: "ERR-02-001",
  resourceNotAvailable: "ERR-02-002",
  insufficientVcpu: "ERR-02-003",
  insufficientMemory: "ERR-02-004",
  insufficientSlots: "ERR-02-005",
  invalidRequest: "ERR-02-008",
  incompatibleConfig: "ERR-02-009",
  imageNotFound: "ERR-02-010",
  kmsNotFound: "ERR-02-011",
  cvmNotFound: "ERR-03-001",
  multipleCvmsSameName: "ERR-03-002",
  cvmAppIdConflict: "ERR-03-007",
  composeHashNeeded: "ERR-03-009",
  identifierMatchesSeveralCvms: "ERR-03-010",
} as const;

export type CloudErrorCode = (typeof errorCodes)[keyof typeof errorCodes];
