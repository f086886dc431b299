/**
 * What a user of the commands gives for a parameter or function that an error of the library names. A function gets the
 * value that the error states for it.
 */
export const operatorTerms: Readonly<Record<string, string | ((value: string) => string)>> = {
  abandonTransaction: "--abandon-transaction",
  acceptDependents: "--accept dependents",
  acceptEmptyValues: "--accept empty-values",
  acceptHashMismatch: "--accept-hash-mismatch",
  acceptKeyEpochs: "--accept key-epochs",
  acceptOwnership: "dstack owner accept",
  acceptUnknownComposeKeys: "--accept unknown-compose-key",
  acceptUnprovenDocument: "--accept unproven-document",
  acceptUnprovenKey: "--accept unproven-key",
  accepted: "--accept",
  acceptedUnknowns: "--accept",
  account: "DSTACK_OWNER_KEY, in the environment or in Hardhat's keystore",
  adopt: "--adopt",
  addDevice: (value) => `npx hardhat dstack device add ${value.replace(" on ", " --app ")}`,
  addComposeHash: (value) => `npx hardhat dstack hash add ${value.replace(" on ", " --app ")}`,
  allowDelegation: "--batch auto:delegate",
  apiKey: "dstack.safe.apiKey or DSTACK_SAFE_API_KEY",
  appId: "--app (or dstack.apps)",
  blockTimeMs: "--block-time",
  buildSafeBatch: "--batch safe of a task such as dstack hash add",
  cancelTransaction: "dstack tx cancel",
  chain: "--network",
  chainId: "--chain-id",
  clearEnvironment: "--clear-environment",
  commitUpdates: "npx hardhat dstack update --commit --plan FILE",
  confirmUnsigned: "a terminal: the task then asks about this transaction, also with --yes",
  delaySeconds: "--delay",
  delegate: "--delegate",
  devices: "--allow-device or dstack.apps.NAME.devices",
  environment: "--env-file and -e",
  dockerCompose: "--compose",
  examineHashes: "dstack hash FILE --cvm NAME",
  expectedKmsPublicKey: "dstack.kmsPublicKey",
  finalizedLagSeconds: "--finalized-lag",
  forkUrl: "--fork",
  fromBlock: "--from-block",
  id: "--id",
  kms: "--kms, dstack.kms or DSTACK_KMS",
  maxFeePerGas: "--max-fee",
  maxPriorityFeePerGas: "--priority-fee",
  mode: "--batch",
  predecessor: "--predecessor",
  prepareSchedule: "dstack timelock schedule",
  proposer: "--proposer",
  replaceTransaction: "dstack tx replace",
  safe: "--safe",
  safeLagSeconds: "--safe-lag",
  salt: "--salt",
  savePlan: "--plan FILE",
  service: "--service",
  setAllowAnyDevice: "dstack device allow-any off",
  stateFile: "--state",
  store: "--store",
  timeout: "networks.NAME.timeout (hardhat.config)",
  timeoutMs: "dstack.cloud.timeout",
  transactionHash: "--transaction-hash",
  undoDelegation: "dstack batch undo-delegation",
  updateCvm: "dstack update without --prepare",
  until: "--until",
};

/** Replaces `parameter` and `parameter: value` in a text of the library by what a user of the commands gives. */
export function toOperatorTerms(text: string): string {
  return text.replace(/`(\w+)(?:: ([^`]+))?`/g, (quoted: string, name: string, value = "") => {
    const term = Object.hasOwn(operatorTerms, name) ? operatorTerms[name] : undefined;
    if (term === undefined) return quoted;
    return typeof term === "function" ? term(value) : `${term} ${value}`.trimEnd();
  });
}
