/** One variable of a contract's storage. */
export interface LayoutVariable {
  readonly label: string;
  readonly slot: number;
  /** In bytes, counted from the right end of the slot. */
  readonly offset: number;
  /** As Solidity writes it. */
  readonly type: string;
}

export type AppLayoutId = "0.4.2" | "0.5.4" | "0.5.9";

/** The storage of the public app contracts. contracts/layout has the same tables, made by the compiler. */
export interface AppLayout {
  /** The first release with this layout. */
  readonly id: AppLayoutId;
  readonly releases: string;
  readonly variables: readonly LayoutVariable[];
}

const list = "mapping(bytes32 => bool)";

/** The policy of an app. In the oldest layout everything is one slot later. */
function policyFrom(first: number): readonly LayoutVariable[] {
  return [
    { label: "allowedComposeHashes", slot: first, offset: 0, type: list },
    { label: "_upgradesDisabled", slot: first + 1, offset: 0, type: "bool" },
    { label: "allowAnyDevice", slot: first + 1, offset: 1, type: "bool" },
    { label: "allowedDeviceIds", slot: first + 2, offset: 0, type: list },
  ];
}

export const appLayouts: Readonly<Record<AppLayoutId, AppLayout>> = {
  "0.4.2": {
    id: "0.4.2",
    releases: "0.4.2 to 0.5.3",
    variables: [
      { label: "appId", slot: 0, offset: 0, type: "address" },
      ...policyFrom(1),
      { label: "__gap", slot: 4, offset: 0, type: "uint256[50]" },
    ],
  },
  "0.5.4": {
    id: "0.5.4",
    releases: "0.5.4 to 0.5.8",
    variables: [...policyFrom(0), { label: "__gap", slot: 3, offset: 0, type: "uint256[50]" }],
  },
  "0.5.9": {
    id: "0.5.9",
    releases: "0.5.9 to 0.6.0",
    variables: [
      ...policyFrom(0),
      { label: "requireTcbUpToDate", slot: 3, offset: 0, type: "bool" },
      { label: "__gap", slot: 4, offset: 0, type: "uint256[49]" },
    ],
  },
};

/** Slots that a contract of this layout never writes. */
export function gapOf({ variables }: AppLayout): readonly number[] {
  const gap = variables.at(-1);
  const [, length] = /^uint256\[(\d+)\]$/.exec(gap?.type ?? "") ?? [];
  if (gap === undefined || length === undefined) throw new TypeError("A public layout ends with a gap.");
  return Array.from({ length: Number(length) }, (_, index) => gap.slot + index);
}

/** The slot of a list in a layout. */
export function slotOfList(
  { variables }: AppLayout,
  label: "allowedComposeHashes" | "allowedDeviceIds" | "requireTcbUpToDate",
): number | undefined {
  return variables.find((variable) => variable.label === label)?.slot;
}
