import type { Address } from "viem";

/** Contracts of one Safe release. Their addresses are the same on every chain that has them. */
export interface SafeDeployment {
  readonly safe: Address;
  /** The Safe for layer 2: it also logs the parameters of each transaction. */
  readonly safeL2: Address;
  readonly proxyFactory: Address;
  readonly multiSend: Address;
  readonly multiSendCallOnly: Address;
  readonly fallbackHandler: Address;
  readonly simulateTxAccessor: Address;
  readonly signMessageLib: Address;
  readonly createCall: Address;
}

/** By the return value of the Safe's `VERSION`, newest first. */
export const safeDeployments = {
  "1.5.0": {
    safe: "0xFf51A5898e281Db6DfC7855790607438dF2ca44b",
    safeL2: "0xEdd160fEBBD92E350D4D398fb636302fccd67C7e",
    proxyFactory: "0x14F2982D601c9458F93bd70B218933A6f8165e7b",
    multiSend: "0x218543288004CD07832472D464648173c77D7eB7",
    multiSendCallOnly: "0xA83c336B20401Af773B6219BA5027174338D1836",
    fallbackHandler: "0x3EfCBb83A4A7AfcB4F68D501E2c2203a38be77f4",
    simulateTxAccessor: "0x07EfA797c55B5DdE3698d876b277aBb6B893654C",
    signMessageLib: "0x4FfeF8222648872B3dE295Ba1e49110E61f5b5aa",
    createCall: "0x2Ef5ECfbea521449E4De05EDB1ce63B75eDA90B4",
  },
  "1.4.1": {
    safe: "0x41675C099F32341bf84BFc5382aF534df5C7461a",
    safeL2: "0x29fcB43b46531BcA003ddC8FCB67FFE91900C762",
    proxyFactory: "0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67",
    multiSend: "0x38869bf66a61cF6bDB996A6aE40D5853Fd43B526",
    multiSendCallOnly: "0x9641d764fc13c8B624c04430C7356C1C7C8102e2",
    fallbackHandler: "0xfd0732Dc9E303f09fCEf3a7388Ad10A83459Ec99",
    simulateTxAccessor: "0x3d4BA2E0884aa488718476ca2FB8Efc291A46199",
    signMessageLib: "0xd53cd0aB83D845Ac265BE939c57F53AD838012c9",
    createCall: "0x9b35Af71d77eaf8d7e40252370304687390A1A52",
  },
  "1.3.0": {
    safe: "0xd9Db270c1B5E3Bd161E8c8503c55cEABeE709552",
    safeL2: "0x3E5c63644E683549055b9Be8653de26E0B4CD36E",
    proxyFactory: "0xa6B71E26C5e0845f74c812102Ca7114b6a896AB2",
    multiSend: "0xA238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761",
    multiSendCallOnly: "0x40A2aCCbd92BCA938b02010E17A5b8929b49130D",
    fallbackHandler: "0xf48f2B2d2a534e402487b3ee7C18c33Aec0Fe5e4",
    simulateTxAccessor: "0x59AD6735bCd8152B84860Cb256dD9e96b85F69Da",
    signMessageLib: "0xA65387F16B013cf2Af4605Ad8aA5ec25a2cbA3a2",
    createCall: "0x7cbB62EaA69F79e6873cD1ecB2392971036cFAa4",
  },
} as const satisfies Record<string, SafeDeployment>;

/** Release 1.3.0 on chains that require replay-protected transactions. */
const replayProtected = {
  safe: "0x69f4D1788e39c87893C980c06EdF4b7f686e2938",
  safeL2: "0xfb1bffC9d739B8D520DaF37dF666da4C687191EA",
  multiSend: "0x998739BFdAAdde7C933B942a68053933098f9EDa",
  multiSendCallOnly: "0xA1dabEF33b3B82c7814B6D82A79e50F4AC44102B",
} as const;

/**
 * Safe's deployments of MultiSendCallOnly, newest first. The contract keeps no state, so each of them works for a Safe
 * of any version.
 */
export const multiSendCallOnlyAddresses: readonly Address[] = [
  ...Object.values(safeDeployments).map(({ multiSendCallOnly }) => multiSendCallOnly),
  replayProtected.multiSendCallOnly,
];

/** Safe's deployments of MultiSend, which also runs delegatecalls. Newest first. */
export const multiSendAddresses: readonly Address[] = [
  ...Object.values(safeDeployments).map(({ multiSend }) => multiSend),
  replayProtected.multiSend,
];

/** The contracts that a Safe's proxy names as its code, newest first. */
export const safeSingletons: readonly Address[] = [...Object.values(safeDeployments), replayProtected].flatMap(
  ({ safe, safeL2 }) => [safe, safeL2],
);
