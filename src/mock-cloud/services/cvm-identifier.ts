import type { Hex } from "../../core/ids.ts";

/** The ways a URL can name a CVM. */
export type CvmIdentifier =
  | { readonly kind: "id"; readonly id: number }
  | { readonly kind: "hashid"; readonly hashid: string }
  /** Canonical: lower case with dashes. */
  | { readonly kind: "uuid"; readonly uuid: string }
  | { readonly kind: "app"; readonly appId: Hex }
  | { readonly kind: "instance"; readonly instanceId: Hex }
  | { readonly kind: "name"; readonly name: string };

const uuidPattern = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;

/** Anything that has none of the other forms is a name. */
export function parseCvmIdentifier(raw: string): CvmIdentifier {
  if (raw.startsWith("cvm_")) return { kind: "hashid", hashid: raw };
  const uuid = uuidPattern.exec(raw);
  if (uuid) return { kind: "uuid", uuid: uuid.slice(1).join("-").toLowerCase() };
  const [, prefix, digits] = /^(app_|instance_|0x)?([0-9a-f]{40})$/i.exec(raw) ?? [];
  if (digits !== undefined) {
    const hex: Hex = `0x${digits.toLowerCase()}`;
    return prefix?.toLowerCase() === "instance_" ? { kind: "instance", instanceId: hex } : { kind: "app", appId: hex };
  }
  if (/^\d{1,15}$/.test(raw)) return { kind: "id", id: Number(raw) };
  return { kind: "name", name: raw };
}
