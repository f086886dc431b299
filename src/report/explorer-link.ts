import type { Chain } from "viem";

/** Page of the chain's block explorer, or undefined where there is none, as for a chain on this machine. */
export function explorerLink(
  chain: Pick<Chain, "blockExplorers"> | undefined,
  kind: "tx" | "address" | "block",
  id: string,
): string | undefined {
  const url = chain?.blockExplorers?.default.url;
  return url === undefined ? undefined : `${url.replace(/\/$/, "")}/${kind}/${id}`;
}
