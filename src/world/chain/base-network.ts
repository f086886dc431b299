/** Chain id of Base, which every chain started here has. */
export const baseChainId = 8453;

/**
 * What a simulated chain must know of Base to run it or to fork it. Base's own hardforks are unknown to EDR, which
 * has no history of Base at all; up to Isthmus (the Prague EVM) they are the OP stack's.
 */
export const baseChainDescriptor = {
  name: "Base",
  chainType: "op",
  hardforkHistory: {
    bedrock: { timestamp: 0 },
    regolith: { timestamp: 0 },
    canyon: { timestamp: 1704992401 },
    ecotone: { timestamp: 1710374401 },
    fjord: { timestamp: 1720627201 },
    granite: { timestamp: 1726070401 },
    holocene: { timestamp: 1736445601 },
    isthmus: { timestamp: 1746806401 },
  },
} as const;
