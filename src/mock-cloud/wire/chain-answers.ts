/** Where Base and most chains have it. */
const multicall3 = "0xcA11bde05977b3631167028862bE2a173976CA11";

const names: Readonly<Record<number, string>> = { 1: "Ethereum", 8453: "Base", 31337: "Anvil" };

/** A chain as viem defines one, for clients that take theirs from the answer. */
export function describeChain(id: number, rpcUrl: string | undefined) {
  return {
    id,
    name: names[id] ?? `Chain ${id}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: rpcUrl === undefined ? [] : [rpcUrl] } },
    contracts: { multicall3: { address: multicall3 } },
  };
}
