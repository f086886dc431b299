import "../type-extensions.ts";
import type { ResolvedConfigurationVariable } from "hardhat/types/config";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Account, type Address, isAddressEqual } from "viem";
import { mnemonicToAccount, parseAccount, privateKeyToAccount } from "viem/accounts";
import { getAddresses } from "viem/actions";
import { readOwner } from "../../chain/read-owner.ts";
import { duringRpc } from "../../chain/rpc-errors.ts";
import { parseFixedHex } from "../../core/ids.ts";
import { InvalidArgumentError, SignerRequiredError } from "../../errors/index.ts";
import { type ConnectedChain, requirePinnedChain } from "./connect-chain.ts";

export interface ReadSignerParameters {
  readonly chain: ConnectedChain;
  /** Whose signature is wanted; without its key the first account is taken, and the chain says no in simulation. */
  readonly wanted?: Address | undefined;
  /** For the error message: what is to be signed. */
  readonly purpose: string;
}

/**
 * The account that pays: the owner's key of the configuration, or one of the network's accounts. Keys of the
 * configuration sign in this process, so that a transaction can be written down before it is sent.
 *
 * @throws InvalidArgumentError, WrongChainError if only the endpoint says which chain it is
 * @throws SignerRequiredError, InvalidHexError, RpcUnavailableError
 */
export async function readSigner(
  { config }: Pick<HardhatRuntimeEnvironment, "config">,
  { chain, wanted, purpose }: ReadSignerParameters,
): Promise<Account> {
  await requirePinnedChain(config, chain);
  const ownerKey = await config.dstack.ownerKey.get();
  const candidates = ownerKey === "" ? await networkAccounts(config, chain) : [accountOf(ownerKey)];
  const match = wanted && candidates.find(({ address }) => isAddressEqual(address, wanted));
  const signer = match ?? candidates[0];
  if (signer !== undefined) return signer;
  const kind = wanted && (await readOwner(chain.client, { address: wanted })).kind;
  throw new SignerRequiredError([purpose], { ownerKind: kind === "eoa" || kind === "renounced" ? undefined : kind });
}

async function networkAccounts(
  { networks }: HardhatRuntimeEnvironment["config"],
  { network, client }: ConnectedChain,
): Promise<Account[]> {
  const config = networks[network];
  if (config?.type !== "http" || config.accounts === "remote") {
    const addresses = await duringRpc("asking for its accounts", () => getAddresses(client));
    return addresses.map((address) => parseAccount(address));
  }
  const { accounts } = config;
  if (Array.isArray(accounts)) return Promise.all(accounts.map(async (key) => accountOf(await textOf(key))));
  const { mnemonic, passphrase, path, initialIndex, count } = accounts;
  const [words, secret] = [await mnemonic.get(), await passphrase.get()];
  return Array.from(
    { length: count },
    (_, index) =>
      mnemonicToAccount(words, {
        passphrase: secret,
        path: `${path}/${initialIndex + index}` as `m/44'/60'/${string}`,
      }), // viem's type knows Ethereum's tree alone
  );
}

function textOf(key: ResolvedConfigurationVariable): Promise<string> {
  return key.get();
}

function accountOf(key: string): Account {
  const digits = parseFixedHex("The signer's private key", key.trim(), 32);
  try {
    return privateKeyToAccount(digits);
  } catch {
    // The cause may hold the key.
    throw new InvalidArgumentError("The signer's private key is no key of this curve: it is zero or too large.", {
      nextStep: "Set DSTACK_OWNER_KEY, dstack.ownerKey or the network's accounts to the account's own key.",
    });
  }
}
