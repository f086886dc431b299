import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./paths.ts";

/** One variable or struct member: its position and its encoding. */
export interface LayoutEntry {
  readonly label: string;
  readonly slot: number;
  /** In bytes, counted from the right end of the slot. */
  readonly offset: number;
  readonly type: string;
}

interface SolcVariable {
  label: string;
  slot: string;
  offset: number;
  type: string;
}

interface SolcLayout {
  storage: SolcVariable[];
  types: Record<string, { label: string; members?: SolcVariable[] }> | null;
}

/** The contracts behind proxies, ours and those of older releases. The value is the folder below contracts/. */
export const layoutContracts: Readonly<Record<string, string>> = {
  DstackApp: "",
  DstackKms: "",
  AppAuthV042: "testing/layouts",
  DstackAppV054: "testing/layouts",
  DstackAppV059: "testing/layouts",
  KmsAuthV042: "testing/layouts",
  DstackKmsV054: "testing/layouts",
  DstackKmsV059: "testing/layouts",
};

/** Path of the compiler's output for a contract. */
export function artifactPath(contract: string): string {
  return join("artifacts", "contracts", layoutContracts[contract] ?? "", `${contract}.sol`, `${contract}.json`);
}

/** Reads the compiler's storage layout of a contract, without its node ids, which change with every edit. */
export function readCompiledLayout(contract: string): LayoutEntry[] {
  const artifact = readJson<{ buildInfoId: string; inputSourceName: string }>(artifactPath(contract));
  const { output } = readJson<{ output: { contracts: Record<string, Record<string, { storageLayout: SolcLayout }>> } }>(
    join("artifacts", "build-info", `${artifact.buildInfoId}.output.json`),
  );
  const layout = output.contracts[artifact.inputSourceName]?.[contract]?.storageLayout;
  if (layout === undefined) throw new Error(`The build output of ${contract} has no storage layout.`);
  return layout.storage.flatMap((variable) => flatten(variable, layout, { prefix: "", firstSlot: 0 }));
}

/** One line for each variable that only one side has: `-` for the committed layout, `+` for the compiled one. */
export function compareLayouts(committed: readonly LayoutEntry[], compiled: readonly LayoutEntry[]): string[] {
  const describe = ({ label, slot, offset, type }: LayoutEntry) => `slot ${slot}, byte ${offset}: ${type} ${label}`;
  const before = committed.map(describe);
  const after = compiled.map(describe);
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ];
}

function flatten(
  variable: SolcVariable,
  layout: SolcLayout,
  { prefix, firstSlot }: { prefix: string; firstSlot: number },
): LayoutEntry[] {
  const type = layout.types?.[variable.type];
  if (type === undefined) throw new Error(`The compiler did not describe ${variable.type}.`);
  const label = prefix + variable.label;
  const slot = firstSlot + Number(variable.slot);
  return (
    type.members?.flatMap((member) => flatten(member, layout, { prefix: `${label}.`, firstSlot: slot })) ?? [
      { label, slot, offset: variable.offset, type: type.label },
    ]
  );
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(join(root, path), "utf8")) as T;
}
