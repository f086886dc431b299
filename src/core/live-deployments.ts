import type { Hex } from "./ids.ts";

/** A DstackKms that serves a public platform. */
export interface LiveDeployment {
  readonly chainId: number;
  readonly name: string;
  /** Address of the DstackKms. */
  readonly kms: Hex;
  /** Where the address was read. It is public knowledge, not proof: confirm it on chain before relying on it. */
  readonly sources: readonly string[];
}

/**
 * The live deployments that are publicly known. `dstack` tasks take the one of their chain if no KMS is named.
 *
 * @example
 * import { liveDeployments } from "dstack-toolkit";
 * const onBase = liveDeployments.find(({ chainId }) => chainId === 8453);
 * console.log(onBase?.kms);
 */
export const liveDeployments: readonly LiveDeployment[] = [
  {
    chainId: 8453,
    name: "Phala Cloud on Base",
    kms: "0x2f83172A49584C017F2B256F0FB2Dca14126Ba9C",
    sources: [
      "Lit Protocol, documentation of its on-chain KMS",
      "Dstack-TEE/dstack-examples, tutorial",
      "Phala-Network/phala-cloud, issue 516",
    ],
  },
  {
    chainId: 1,
    name: "Phala Cloud on Ethereum",
    kms: "0xd343a3f5593b93D8056aB5D60c433622d7D65a80",
    sources: ["two notes of users about their deployments"],
  },
];

/** The live deployment on a chain; undefined if none is known. */
export function liveDeploymentOn(chainId: number): LiveDeployment | undefined {
  return liveDeployments.find((one) => one.chainId === chainId);
}
