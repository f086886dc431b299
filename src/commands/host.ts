import type { Abi, Account, Address, Hex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { FinalityTag } from "../chain/transactions/chain-identity.ts";
import type { AppId, ComposeHash, DeviceId } from "../core/ids.ts";
import type { WalletRequest } from "../governance/safe-sign.ts";
import type { LogIndexKind } from "../history/log-index.ts";

/**
 * What a command needs from the program that runs it: its settings, its networks and its keys. Commands import nothing
 * from Hardhat; `src/hardhat/connect.ts` makes a host of Hardhat's runtime environment.
 */
export interface CommandHost {
  /** Folder of the project. The ledger is kept below it. */
  readonly root: string;
  /** Folder for data that can be read again, such as an app's history. */
  readonly cache: string;
  readonly settings: DstackConfig;
  /** The network that the user named for this command; undefined if the user named none. */
  readonly namedNetwork: string | undefined;
  /** Whether the default network is an endpoint that can be asked. */
  readonly hasDefaultEndpoint: boolean;
  /**
   * Connects the network that the user named, else `fallback`, else the default one.
   *
   * @throws InvalidArgumentError, RpcUnavailableError, WrongChainError if the network is configured for another chain
   */
  readonly connectChain: (fallback?: string) => Promise<ConnectedChain>;
  /**
   * URL of the endpoint that `connectChain` asks, which may hold a secret.
   *
   * @throws InvalidArgumentError if it is no HTTP endpoint, or needs headers
   */
  readonly readEndpoint: (fallback?: string) => Promise<{ readonly url: string }>;
  /**
   * The account that signs and pays.
   *
   * @throws InvalidArgumentError, WrongChainError if only the endpoint says which chain it is
   * @throws SignerRequiredError, InvalidHexError, RpcUnavailableError
   */
  readonly readSigner: (parameters: ReadSignerParameters) => Promise<Account>;
  /**
   * A compiled contract of the project, by its name or as `file:name`.
   *
   * @throws InvalidArgumentError if there is none, or several
   */
  readonly readContract: (name: string) => Promise<ProjectContract>;
  /**
   * A hardware wallet that signs as one of the wanted addresses.
   *
   * @throws InvalidArgumentError if the configuration has no hardware wallet with one of them; WrongChainError
   */
  readonly readHardwareWallet: (parameters: ReadHardwareWalletParameters) => Promise<HardwareWallet>;
}

/** A compiled contract of the user's project. */
export interface ProjectContract {
  /** With its file: `contracts/MyApp.sol:MyApp`. */
  readonly name: string;
  readonly abi: Abi;
  /** Code that creates it. `0x` for an abstract contract or an interface. */
  readonly bytecode: Hex;
  /** Names of the libraries to which its code must be linked first. */
  readonly libraries: readonly string[];
  /** Its code on a chain, without the values of its immutable variables. */
  readonly deployedBytecode: Hex;
  /** Where those values are, in bytes. */
  readonly immutables: readonly { readonly start: number; readonly length: number }[];
  /** The compiler's input and output. Undefined if the build did not keep them. */
  readonly build: { readonly inputPath: string; readonly outputPath: string; readonly contract: string } | undefined;
}

/** A command: takes its arguments, does its work, prints, and returns the exit code. */
export type Command<Arguments> = (args: Arguments, host: CommandHost) => Promise<number>;

/** A chain that commands read. */
export interface ConnectedChain {
  /** Reads; it has no account. */
  readonly client: ChainClient;
  readonly chainId: number;
  /** As `--network` names it. */
  readonly network: string;
  /** Folder of the project. The ledger is kept below it. */
  readonly root: string;
  /** Whether `--batch auto` may let accounts begin to delegate without asking, by the configuration. */
  readonly allowDelegation: boolean;
}

export interface ReadSignerParameters {
  readonly chain: ConnectedChain;
  /** Address that should sign. If its key is missing, the first account is taken and the simulation fails. */
  readonly wanted?: Address | undefined;
  /** For the error message: what is to be signed. */
  readonly purpose: string;
}

/** A wallet that shows what it signs on its own screen. */
export interface HardwareWallet {
  /** The account that it signs as. */
  readonly address: Address;
  readonly request: WalletRequest;
}

export interface ReadHardwareWalletParameters {
  readonly chain: ConnectedChain;
  readonly wanted: readonly Address[];
}

/** A setting that is read only when it is needed, such as a secret of an encrypted keystore. */
export interface LazySetting {
  readonly get: () => Promise<string>;
}

/** `dstack` of the configuration, with every name resolved. */
export interface DstackConfig {
  /** Empty if not set. */
  readonly ownerKey: LazySetting;
  readonly apps: Readonly<Record<string, DstackAppConfig>>;
  /** An address; empty if not set. */
  readonly kms: LazySetting;
  /** Empty if not set. */
  readonly kmsPublicKey: LazySetting;
  readonly batch: {
    readonly delegate: boolean;
  };
  /** File of the ledger; undefined for the one in the project's `.dstack`. */
  readonly ledger: string | undefined;
  /** The stage that counts as done; undefined for the chain's default. */
  readonly finality: FinalityTag | undefined;
  readonly history: {
    /** Undefined if the configuration names no index. */
    readonly index: { readonly url: string; readonly kind: LogIndexKind | undefined } | undefined;
    /** Empty if not set. */
    readonly indexApiKey: LazySetting;
  };
  readonly safe: {
    /** Address of the Safe transaction service; undefined if the configuration names none. */
    readonly service: string | undefined;
    /** Empty if not set. */
    readonly apiKey: LazySetting;
  };
  readonly cloud: {
    readonly baseUrl: LazySetting;
    /** Empty if not set. */
    readonly apiKey: LazySetting;
    /** Longest time for one answer; undefined for the client's default. */
    readonly timeoutMs: number | undefined;
  };
}

export interface DstackAppConfig {
  readonly address: AppId;
  readonly cvm: string | undefined;
  readonly network: string | undefined;
  readonly pins: readonly ComposeHash[];
  /** Undefined if the configuration does not list them. */
  readonly devices: readonly DeviceId[] | undefined;
}
