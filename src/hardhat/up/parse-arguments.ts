import { parseAddress } from "../../chain/client.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { parseAllowedHosts, parseAllowedOrigins, splitList } from "../../mock-cloud/http/page-guard.ts";

/** As Hardhat hands them over: what was not given is undefined. */
export interface UpArguments {
  readonly chainPort?: string | undefined;
  readonly cloudPort?: string | undefined;
  readonly state?: string | undefined;
  readonly fork?: string | undefined;
  readonly chainRpc?: string | undefined;
  readonly kms?: string | undefined;
  readonly allowedHosts?: string | undefined;
  readonly allowedOrigins?: string | undefined;
  readonly deviceLogin?: boolean | undefined;
  readonly privateWebhooks?: boolean | undefined;
  readonly admin?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export interface UpSettings {
  readonly chain:
    | { readonly kind: "own"; readonly port: number; readonly forkUrl: string | undefined }
    | { readonly kind: "existing"; readonly rpcUrl: string; readonly kms: string };
  readonly cloudPort: number;
  readonly stateFile: string | undefined;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly deviceLogin: boolean;
  readonly privateWebhooks: boolean;
  /** Whether clock, faults and snapshots can be had over HTTP. */
  readonly hasAdmin: boolean;
  readonly isJson: boolean;
}

const nextStep = "See npx hardhat dstack up --help.";

/** @throws InvalidArgumentError, InvalidHexError */
export function parseUpArguments(args: UpArguments): UpSettings {
  const { cloudPort, state, deviceLogin = false, privateWebhooks = false, admin = false, json = false } = args;
  if (state === "") throw new InvalidArgumentError("--state needs the name of a file.", { nextStep });
  return {
    chain: parseChain(args),
    cloudPort: parsePort("--cloud-port", cloudPort, 4000),
    stateFile: state,
    allowedHosts: parseAllowedHosts(splitList(args.allowedHosts), "--allowed-hosts"),
    allowedOrigins: parseAllowedOrigins(splitList(args.allowedOrigins), "--allowed-origins"),
    deviceLogin,
    privateWebhooks,
    hasAdmin: admin,
    isJson: json,
  };
}

function parseChain({ chainPort, fork, chainRpc, kms }: UpArguments): UpSettings["chain"] {
  if (chainRpc === undefined) {
    if (kms !== undefined) throw new InvalidArgumentError("--kms goes with --chain-rpc.", { nextStep });
    const forkUrl = fork === undefined ? undefined : parseUrl("--fork", fork);
    return { kind: "own", port: parsePort("--chain-port", chainPort, 8545), forkUrl };
  }
  if (kms === undefined) throw new InvalidArgumentError("--chain-rpc needs --kms.", { nextStep });
  for (const [option, value] of Object.entries({ "--fork": fork, "--chain-port": chainPort })) {
    if (value === undefined) continue;
    throw new InvalidArgumentError(`${option} is for a chain of its own; --chain-rpc names an existing one.`, {
      nextStep,
    });
  }
  return { kind: "existing", rpcUrl: parseUrl("--chain-rpc", chainRpc), kms: parseAddress("--kms", kms) };
}

function parsePort(option: string, raw: string | undefined, fallback: number): number {
  if (raw === undefined) return fallback;
  const port = Number(raw);
  if (/^\d{1,5}$/.test(raw) && port <= 65_535) return port;
  throw new InvalidArgumentError(`${option} must be a whole number from 0 to 65535.`, { nextStep });
}

/** The URL is not repeated in the message: it may hold a key. */
function parseUrl(option: string, raw: string): string {
  const protocol = URL.canParse(raw) ? new URL(raw).protocol : "";
  if (protocol === "http:" || protocol === "https:") return raw;
  throw new InvalidArgumentError(`${option} must be an http or https URL.`, { nextStep });
}
