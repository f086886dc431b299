import { expect } from "chai";
import * as errors from "../../../../src/errors/index.ts";
import { readText, repositoryFiles } from "../../../support/repository/files.ts";

const { errorTable, exitCodes } = errors;
const families = Object.keys(exitCodes) as errors.ErrorFamily[];

const answer = { method: "GET", path: "/cvms/a", status: 404, apiMessage: "gone" };
const owner = { contract: "0x01", signer: "0x02", owner: "0x03" };

// One of each. The type makes a new row of the table demand a new line here.
const examples: Readonly<Record<errors.ErrorName, errors.DstackError>> = {
  InvalidHexError: new errors.InvalidHexError("A compose hash", "0x12", 32),
  InvalidAppComposeError: new errors.InvalidAppComposeError("No services."),
  PayloadTooLargeError: new errors.PayloadTooLargeError(300_000, 204_800),
  InvalidEnvironmentError: new errors.InvalidEnvironmentError("Line 2 has no name."),
  EnvironmentDecryptionError: new errors.EnvironmentDecryptionError("The payload was changed."),
  UntrustedEncryptionKeyError: new errors.UntrustedEncryptionKeyError(),
  UnprovenEncryptionKeyError: new errors.UnprovenEncryptionKeyError("no KMS is named"),
  InvalidArgumentError: new errors.InvalidArgumentError("--cvm is missing."),
  UnusableFileError: new errors.UnusableFileError("updates.jsonl", "it is a symbolic link"),
  InvalidProposalFileError: new errors.InvalidProposalFileError("proposal.json", "it is of another plan"),
  UnplannedSafeTransactionError: new errors.UnplannedSafeTransactionError("0x05", ["It sends 1 wei to 0x01."]),
  SafeNonceError: new errors.SafeNonceError({
    ...{ safe: "0x01", nonce: 5n, next: 6n, problem: "is used", nextStep: "Propose the plan again." },
  }),
  SafeConfirmationsError: new errors.SafeConfirmationsError({
    ...{ safeTxHash: "0x05", threshold: 2n, confirmedBy: ["0x02"], missing: ["0x03"] },
    rejected: [{ owner: "0x03", problem: "did not sign this transaction" }],
  }),
  NotSafeOwnerError: new errors.NotSafeOwnerError({ safe: "0x01", signer: "0x04", owners: ["0x02", "0x03"] }),
  SafeServiceUnreachableError: new errors.SafeServiceUnreachableError("safe.example"),
  SafeServiceError: new errors.SafeServiceError({
    ...{ host: "safe.example", method: "GET", path: "/v1/about/", status: 422, words: "HTTP 422: no" },
  }),
  SafeServiceContradictedError: new errors.SafeServiceContradictedError("safe.example", "It lists none."),
  LintRefusedError: new errors.LintRefusedError([{ rule: "no-code", message: "No code.", advice: "Look." }]),
  DeviceNeededError: new errors.DeviceNeededError([{ acceptAs: "in-use", problem: "CVM a is on it." }]),
  HashNeededError: new errors.HashNeededError([{ acceptAs: "in-use", problem: "CVM a has it." }]),
  UpgradeRefusedError: new errors.UpgradeRefusedError([{ rule: "no-code", problem: "There is no code at 0x01." }]),
  UpgradeMismatchError: new errors.UpgradeMismatchError("It denies a hash.", { appId: "0x01", previous: "0x02" }),
  KeyEpochsError: new errors.KeyEpochsError([
    { role: "app", address: "0x01", generation: "0.6.4", releases: "0.6.4", hasKeyEpochs: true },
  ]),
  MissingPackageError: new errors.MissingPackageError("dstack-toolkit/world", "hardhat"),
  RpcUnavailableError: new errors.RpcUnavailableError("reading the owner"),
  WrongChainError: new errors.WrongChainError(8453, 1),
  NoContractError: new errors.NoContractError("0x01", 8453),
  NotOwnerError: new errors.NotOwnerError(owner),
  ContractOwnerError: new errors.ContractOwnerError(owner),
  InsufficientFundsError: new errors.InsufficientFundsError("0x02", 5n),
  ContractRevertedError: new errors.ContractRevertedError({ contract: "0x01", functionName: "f", reason: undefined }),
  TransactionRevertedError: new errors.TransactionRevertedError("0x04", "addDevice"),
  ReceiptTimeoutError: new errors.ReceiptTimeoutError("0x04", 60_000),
  ReceiptMismatchError: new errors.ReceiptMismatchError({
    transactionHash: "0x04",
    eventName: "ComposeHashAdded",
    emitter: "0x01",
    expected: "0x05",
    found: [],
  }),
  UnsignedRecordError: new errors.UnsignedRecordError({
    from: "0x01",
    nonce: 3,
    functionName: "addDevice",
    isKeyHere: false,
  }),
  NonceTakenError: new errors.NonceTakenError("0x02", 7, undefined),
  ImplausibleAnswerError: new errors.ImplausibleAnswerError({ what: "the gas of addDevice", answer: 9n, most: 1n }),
  BatchStoppedError: new errors.BatchStoppedError({ done: 1, pending: 0, total: 2 }, undefined, new Error("Refused.")),
  NoEffectError: new errors.NoEffectError([{ to: "0x01", description: "allow device 0x07" }]),
  ForeignDelegationError: new errors.ForeignDelegationError("0x02", "0x08"),
  DelegationUnsupportedError: new errors.DelegationUnsupportedError("the key is with the node"),
  ExecutionNotProvenError: new errors.ExecutionNotProvenError("It reverted.", {
    ...{ reason: "reverted", transactionHash: "0x01" },
  }),
  ExecutorMismatchError: new errors.ExecutorMismatchError("0x08", "0x09", "0x0a"),
  TimelockOperationError: new errors.TimelockOperationError("cancelled", { timelock: "0x01", operationId: "0x02" }),
  TimelockNotReadyError: new errors.TimelockNotReadyError({
    ...{ timelock: "0x01", operationId: "0x02", readyAt: "2026-12-03T05:00:00Z", left: "2 days" },
  }),
  TimelockRoleError: new errors.TimelockRoleError({
    ...{ timelock: "0x01", account: "0x02", role: "proposer", holders: ["0x03"] },
  }),
  OperationsAlikeError: new errors.OperationsAlikeError({ timelock: "0x", operations: [] }),
  TimelockDependentsError: new errors.TimelockDependentsError({ timelock: "0x", operationId: "0x", dependents: [] }),
  LedgerError: new errors.LedgerError("ledger.sqlite", "damaged", { detail: "of record 1, another key signed it" }),
  TransactionUnderpricedError: new errors.TransactionUnderpricedError({
    ...{ signer: "0x02", nonce: 7, functionName: "addDevice", transactionHash: "0x04" },
    ...{ maxFeePerGas: 1_500_000_000n, baseFeePerGas: 2_000_000_000n },
  }),
  FinalityTimeoutError: new errors.FinalityTimeoutError(
    { tag: "safe", transactionHashes: ["0x04"], blockNumber: 9n, taggedBlock: 7n },
    300_000,
  ),
  TransactionCancelledError: new errors.TransactionCancelledError(
    { from: "0x02", nonce: 7, functionName: "addDevice" },
    "0x04",
  ),
  NonceBlockedError: new errors.NonceBlockedError({ from: "0x02", nonce: 7, functionName: "removeComposeHash" }),
  LogsRefusedError: new errors.LogsRefusedError({ fromBlock: 7n, toBlock: 7n }, "too many logs"),
  LogsUnavailableError: new errors.LogsUnavailableError({ fromBlock: 7n, toBlock: 9n }, "history has been pruned"),
  LogIndexError: new errors.LogIndexError("index.example", { fromBlock: 1n, toBlock: 2n }, "HTTP 500"),
  HistoryStoreError: new errors.HistoryStoreError("history.sqlite", "damaged"),
  CloudUnreachableError: new errors.CloudUnreachableError("GET", "/cvms/a"),
  CloudResponseError: new errors.CloudResponseError(answer),
  CloudProtocolError: new errors.CloudProtocolError("GET", "/cvms/a", "status is missing"),
  UnauthorizedError: new errors.UnauthorizedError(answer),
  CvmNotFoundError: new errors.CvmNotFoundError(answer),
  CvmBusyError: new errors.CvmBusyError(answer),
  HashExpiredError: new errors.HashExpiredError(answer),
  TransactionNotVerifiedError: new errors.TransactionNotVerifiedError(answer),
  HashNotAllowedError: new errors.HashNotAllowedError(answer),
  KmsDowngradeError: new errors.KmsDowngradeError("my-app", "a chain was named"),
  HashMismatchError: new errors.HashMismatchError({ expected: "0x05", fromCloud: "0x06", explanation: "the name" }),
  RolloverTimeoutError: new errors.RolloverTimeoutError("a", "updating", 1_000, "id"),
  RolloverFailedError: new errors.RolloverFailedError("a", "OS image is not allowed", undefined),
  UnexpectedDeviceError: new errors.UnexpectedDeviceError("my-app", "0x07", []),
  UnprovenDocumentError: new errors.UnprovenDocumentError("my-app", "0x01", ["0x07"]),
  RegistrationMissingError: new errors.RegistrationMissingError("0x01", [
    { functionName: "addDevice", value: "0x07", cvms: ["my-app (cvm_1)"] },
  ]),
  UpdateOvertakenError: new errors.UpdateOvertakenError({
    ...{ cvm: "my-app", running: "0x06", previous: "0x05", planned: "0x07", difference: [] },
  }),
  ApprovedHashChangedError: new errors.ApprovedHashChangedError({
    ...{ cvm: "my-app", approved: "0x07", fromCloud: "0x08", difference: ["name:"] },
  }),
  RollingUpdateStoppedError: new errors.RollingUpdateStoppedError(
    { done: ["a"], failed: "b", left: ["c"] },
    new errors.RolloverFailedError("b", "no device", undefined),
  ),
  RevisionRefusedError: new errors.RevisionRefusedError("rev_3", [{ acceptAs: "removed", problem: "It was removed." }]),
  RevisionNotReproducibleError: new errors.RevisionNotReproducibleError("rev_3", ["features"]),
  SignerRequiredError: new errors.SignerRequiredError(["addDevice", "addComposeHash"]),
  PruneBlockedError: new errors.PruneBlockedError([{ kind: "history", problem: "Block 7 was not read." }]),
  PruneOvertakenError: new errors.PruneOvertakenError([{ composeHash: "0x05", problem: "runs on web" }]),
  InvalidPlanFileError: new errors.InvalidPlanFileError("plan.json", "it is not JSON"),
  HistoryContradictedError: new errors.HistoryContradictedError([
    { composeHash: "0x01", problem: "was not added in block 7" },
  ]),
  PlanOvertakenError: new errors.PlanOvertakenError([
    { kind: "owner", problem: "The owner of 0x01 is 0x02, and not 0x03." },
  ]),
  PrunedHashInUseError: new errors.PrunedHashInUseError("0x01", [{ composeHash: "0x05", problem: "runs on web" }]),
};

/** Numbers of errors that this package no longer has. No other error gets one of them. */
const retired = new Set([4004, 4005]);

describe("error table", () => {
  const rows = Object.entries(errorTable);

  it("numbers its rows in the order of the families, from 1 or from a part's own hundred", () => {
    const numbers = rows.map(([, { code }]) => Number(code.replace("DSTK-", "")));
    for (const [index, number] of numbers.entries()) {
      const previous = numbers[index - 1] ?? 0;
      let next = previous + 1;
      while (retired.has(next)) next += 1;
      expect(number === next || (number > previous && number % 100 === 1), `${number}`).to.equal(true);
    }
  });

  it("gives every family an exit code of its own, never 0 or 1", () => {
    const codes = Object.values(exitCodes);
    expect(new Set(codes).size).to.equal(codes.length);
    for (const code of codes) expect(code).to.be.within(2, 125);
  });

  it("states each meaning in one sentence", () => {
    for (const [name, { summary }] of rows) expect(summary, name).to.match(/^[A-Z].+\.$/);
  });

  it("has a class for every row and a row for every class", () => {
    const concrete = Object.entries(errors)
      .filter(([, value]) => typeof value === "function" && value.prototype instanceof errors.DstackError)
      .map(([name]) => name);
    expect(concrete.filter((name) => !isAbstract(name)).sort()).to.deep.equal(rows.map(([name]) => name).sort());
  });

  for (const [name, { code }] of rows) {
    it(`describes ${name} (${code})`, () => {
      const error = examples[name as errors.ErrorName];
      expect(error.constructor.name).to.equal(name);
      expect(error).to.include({ name, code });
      expect(code.startsWith(`DSTK-${families.indexOf(error.family) + 1}`), error.family).to.equal(true);
      expect(error.exitCode).to.equal(exitCodes[error.family]);
      expect(errors.isDstackError(error)).to.equal(true);
      expect(error.message).to.match(/^.+\S$/);
      expect(JSON.parse(JSON.stringify(error))).to.include({ code, name, retryable: error.retryable });
      expect(JSON.stringify(error)).to.not.include("    at ");
    });
  }

  it("equals the list of docs/errors.md, row by row", () => {
    const documented = [...readText("docs/errors.md").matchAll(/^\| (DSTK-\d+) \| `(\w+)` \| (yes|no) \| (.+) \|$/gm)];
    expect(
      documented.map(([, code, name, retryable, summary]) => [name, code, retryable === "yes", summary]),
    ).to.deep.equal(rows.map(([name, { code, retryable, summary }]) => [name, code, retryable, summary]));
  });

  it("has no row without a throw", () => {
    const source = repositoryFiles()
      .filter((path) => /^(?:src|scripts)\/(?!errors\/).+\.ts$/.test(path))
      .map(readText)
      .join("\n");
    const unused = rows.map(([name]) => name).filter((name) => !new RegExp(`\\b${name}\\b`).test(source));
    expect(unused).to.deep.equal([]);
  });

  /** Exported only to be extended. */
  function isAbstract(name: string): boolean {
    return ["CloudError", "DstackError"].includes(name);
  }
});
