import { type Chain, defineChain } from "viem";
import { base, baseSepolia, mainnet, sepolia } from "viem/chains";

const known = [base, baseSepolia, mainnet, sepolia];

/** Only what viem knows has a Multicall3 to look for and, unless it runs on this machine, a block explorer. */
export function chainDefinition(id: number, { isLocal }: { readonly isLocal: boolean }): Chain {
  const chain = known.find((chain) => chain.id === id) ?? unknownChain(id);
  return isLocal ? ({ ...chain, blockExplorers: undefined } as Chain) : chain; // viem's type demands a value or absence
}

function unknownChain(id: number): Chain {
  return defineChain({
    id,
    name: `Chain ${id}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [] } },
  });
}
