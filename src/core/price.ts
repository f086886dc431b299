/**
 * What transactions cost together. All amounts are in wei. The JSON of every task has the same fields, as decimal
 * strings.
 */
export interface Price {
  /** In gas. */
  readonly gas: bigint;
  /** Wei per gas. */
  readonly feePerGas: bigint;
  /** `gas` times `feePerGas`. */
  readonly executionFee: bigint;
  /** Fee of an OP stack chain for publishing the transactions on its parent chain; zero on other chains. */
  readonly l1Fee: bigint;
  /** Fee for the operator of an OP stack chain; zero on other chains, and on those that take none. */
  readonly operatorFee: bigint;
  /** The sum of the three fees. */
  readonly total: bigint;
}

/** What transactions will cost. */
export interface PriceEstimate {
  /** Number of transactions. */
  readonly transactions: number;
  /** Base fee of the latest block, in wei per gas. Transactions with a lower highest fee wait until it falls. */
  readonly baseFeePerGas: bigint;
  /** With the estimated gas, the base fee of the latest block and the present fees of the rollup. */
  readonly expected: Price;
  /**
   * With the gas limits and the highest fee per gas, which the chain cannot exceed, and with twice the present L1 data
   * fee, which no field of a transaction limits.
   */
  readonly most: Price;
}
