import { parseArgs } from "node:util";
import { isAddress } from "viem";
import { parseFixedHex } from "../core/ids.ts";
import { hideLikelySecrets } from "../core/secrets.ts";
import { cleanText } from "../core/text.ts";
import { InvalidArgumentError, InvalidHexError, isDstackError } from "../errors/index.ts";
import { readBoundedText } from "../files/read-bounded.ts";
import type { MockCloudEvent } from "./events.ts";
import { parseAllowedHosts, parseAllowedOrigins, splitList } from "./http/page-guard.ts";
import { type OnChainKmsSeed, parseFinality } from "./options.ts";
import { parseSeed } from "./parse-seed.ts";
import { connectEndpoint } from "./services/kms.ts";
import { type RunningMockCloud, type StartMockCloudOptions, startMockCloud } from "./start.ts";

const help = `Usage: dstack-toolkit mock-cloud [options]

  --host ADDRESS           address to listen on; other machines can connect unless it is loopback (default: 127.0.0.1)
  --port PORT              port to listen on; 0 chooses a free port (default: 4000)
  --public-url URL         start of the links in answers (default: the address that it listens on)
  --state FILE             file that stores the state across restarts (default: in memory)
  --seed FILE              initial objects as JSON; docs/mock-cloud.md of the package describes the format
  --chain-rpc URL          endpoint of every on-chain KMS that has none in the seed
  --kms ADDRESS            adds a KMS: the DstackKms at this address, on the chain of --chain-rpc
  --finality TAG           how final a registration must be before an update: latest, safe, finalized (default: latest)
  --rollover-ms MS         how long a CVM is down during a rollover (default: 1000)
  --allowed-hosts NAMES    further host names that the server accepts, separated by commas
  --allowed-origins LIST   origins of web pages that may call the server, separated by commas (default: none)
  --device-login           give \`phala login\` an API key without approval
  --private-webhooks       allow webhooks to private and link-local addresses
  --quiet                  print no events
  --help                   print this help

Environment: DSTACK_CLOUD_API_KEY adds an API key to the seed's first workspace, so that the file needs no key.
DSTACK_CLOUD_RPC_URL is the endpoint if --chain-rpc is not given; other users of the machine do not see it.
DSTACK_CLOUD_ADMIN_KEY enables the admin endpoints; callers must send this key.
`;

export interface CommandContext {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Receives the help, or one line of JSON with the address of the cloud. */
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

export interface CommandOutcome {
  /** Exit code for a process that ends now. */
  readonly exitCode: 0 | 2;
  readonly running: RunningMockCloud | undefined;
}

/** The subcommand `mock-cloud`. If the cloud cannot start, it prints why and the exit code is 2. */
export async function runCommand(context: CommandContext): Promise<CommandOutcome> {
  const { args, stdout, stderr } = context;
  try {
    const flags = parseFlags(args);
    if (flags.help) {
      stdout.write(help);
      return { exitCode: 0, running: undefined };
    }
    const cloud = await startMockCloud(await toOptions(flags, context));
    if (!isLoopback(cloud))
      stderr.write(`Other machines on the network can reach this cloud (--host ${flags.host}).\n`);
    stdout.write(`${JSON.stringify({ url: cloud.url, baseUrl: cloud.baseUrl })}\n`);
    return { exitCode: 0, running: cloud };
  } catch (error) {
    stderr.write(`${describe(error)}\n`);
    return { exitCode: 2, running: undefined };
  }
}

/** Checks the address that the server is bound to, because `--host` can be a name or another notation. */
function isLoopback({ app }: RunningMockCloud): boolean {
  const bound = app.server.address();
  const address = typeof bound === "object" ? bound?.address : undefined;
  return address === "::1" || /^(::ffff:)?127\./.test(address ?? "");
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "4000" },
      "public-url": { type: "string" },
      state: { type: "string" },
      seed: { type: "string" },
      "chain-rpc": { type: "string" },
      kms: { type: "string" },
      finality: { type: "string" },
      "rollover-ms": { type: "string", default: "1000" },
      "allowed-hosts": { type: "string" },
      "allowed-origins": { type: "string" },
      "device-login": { type: "boolean", default: false },
      "private-webhooks": { type: "boolean", default: false },
      quiet: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  }).values;
}

type Flags = ReturnType<typeof parseFlags>;

async function toOptions(flags: Flags, { env, stderr }: CommandContext): Promise<StartMockCloudOptions> {
  const { DSTACK_CLOUD_API_KEY: apiKey, DSTACK_CLOUD_ADMIN_KEY: adminKey } = env;
  if (flags.host.trim() === "") throw new InvalidArgumentError("--host must not be empty.");
  if (flags.state === "") throw new InvalidArgumentError("--state needs a file name.");
  if (apiKey?.trim() === "") throw new InvalidArgumentError("DSTACK_CLOUD_API_KEY must not be empty.");
  const rpcUrl = parseRpcUrl(flags["chain-rpc"], env.DSTACK_CLOUD_RPC_URL);
  const seed = parseSeed(flags.seed === undefined ? {} : await readSeed(flags.seed), { apiKey, rpcUrl });
  const added = flags.kms === undefined ? [] : [await findKms(flags.kms, rpcUrl)];
  const taken = added.find(({ slug }) => seed.kms?.some((kms) => kms.slug === slug));
  if (taken) throw new InvalidArgumentError(`The seed has a KMS ${taken.slug} already, so --kms cannot add it.`);
  return {
    ...seed,
    kms: [...(seed.kms ?? []), ...added],
    finality: parseFinality("--finality", flags.finality),
    host: flags.host,
    port: parseNumber("--port", flags.port, 65_535),
    publicUrl: flags["public-url"],
    ...(flags.state !== undefined && { stateFile: flags.state }),
    ...(adminKey && { admin: { key: adminKey } }),
    rolloverMs: parseNumber("--rollover-ms", flags["rollover-ms"], 86_400_000),
    allowedHosts: parseAllowedHosts(splitList(flags["allowed-hosts"]), "--allowed-hosts"),
    allowedOrigins: parseAllowedOrigins(splitList(flags["allowed-origins"]), "--allowed-origins"),
    deviceLogin: flags["device-login"],
    privateWebhooks: flags["private-webhooks"],
    ...(!flags.quiet && { onEvent: (event) => void stderr.write(`${describeEvent(event)}\n`) }),
  };
}

/** Error messages do not quote the file, because it may contain API keys. */
async function readSeed(path: string): Promise<unknown> {
  const text = await readBoundedText(path);
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`The seed file ${path} is not JSON.`);
  }
}

/** The message does not repeat the URL, because it may contain a key. */
function parseRpcUrl(flag: string | undefined, variable: string | undefined): string | undefined {
  const raw = flag ?? variable;
  if (raw === undefined) return undefined;
  if (URL.canParse(raw) && /^https?:$/.test(new URL(raw).protocol)) return raw;
  const name = flag === undefined ? "DSTACK_CLOUD_RPC_URL" : "--chain-rpc";
  throw new InvalidArgumentError(`${name} must be an http or https URL.`);
}

/** @throws InvalidArgumentError, InvalidHexError */
async function findKms(raw: string, rpc: string | undefined): Promise<OnChainKmsSeed> {
  if (rpc === undefined) throw new InvalidArgumentError("--kms needs --chain-rpc, or DSTACK_CLOUD_RPC_URL.");
  const address = parseFixedHex("--kms", raw, 20);
  if (!isAddress(raw.startsWith("0x") ? raw : `0x${raw}`)) {
    throw new InvalidHexError("--kms", raw, 20, { isChecksum: true });
  }
  const client = connectEndpoint(rpc, 10_000);
  const read = async () => [await client.getChainId(), await client.getCode({ address })] as const;
  const [chainId, code] = await read().catch((error: unknown) => {
    throw new InvalidArgumentError(`The endpoint of --chain-rpc gave no usable answer (${describeFailure(error)}).`);
  });
  if (code === undefined) throw new InvalidArgumentError(`Chain ${chainId} has no contract at ${address}.`);
  return { slug: chainId === 1 ? "kms-ethereum-1" : "kms-base-1", chainId, contractAddress: address, rpc };
}

/** The HTTP status, and the system's code or the endpoint's words, as far as an error of viem tells them. */
function describeFailure(error: unknown): string {
  const links: object[] = [];
  for (let link = error; link instanceof Object && links.length < 10; link = Reflect.get(link, "cause"))
    links.push(link);
  const find = (name: string, type: string): unknown =>
    links.map((link): unknown => Reflect.get(link, name)).find((value) => typeof value === type);
  // viem reads a body that is not JSON-RPC without a check.
  const isMisread = links.some(
    (link) => link instanceof SyntaxError || (link instanceof TypeError && link.message !== "fetch failed"),
  );
  const said = isMisread ? "its answer is not JSON-RPC" : (find("code", "string") ?? find("details", "string"));
  const words = cleanText(hideLikelySecrets(String(said)), 200);
  const status = find("status", "number");
  return status === undefined ? words : `HTTP ${status}: ${words}`;
}

function parseNumber(flag: string, raw: string, largest: number): number {
  if (/^\d{1,9}$/.test(raw) && Number(raw) <= largest) return Number(raw);
  throw new InvalidArgumentError(`${flag} must be a whole number from 0 to ${largest}.`);
}

/** Sentences for errors of Node and of SQLite, by code. */
const sentences: Readonly<Record<string, (error: NodeError) => string>> = {
  EADDRINUSE: ({ port }) => `Port ${port} is in use by another program. Use --port PORT, or --port 0 for a free one.`,
  EACCES: ({ port }) => `This user may not listen on port ${port}.`,
  EADDRNOTAVAIL: ({ address }) => `This machine has no address ${address} to listen on.`,
  ENOTFOUND: ({ hostname }) => `The host name ${hostname} of --host is unknown.`,
  EAI_AGAIN: ({ hostname }) => `The host name ${hostname} of --host cannot be looked up now.`,
  ERR_SQLITE_ERROR: ({ message }) => `The state file cannot be used: ${message}. Use another file with --state.`,
};

interface NodeError {
  readonly code?: string;
  readonly message?: string;
  readonly port?: number;
  readonly address?: string;
  readonly hostname?: string;
}

/** Describes in one sentence why the cloud cannot start, and where to look further. */
function describe(error: unknown): string {
  const nextStep = "See dstack-toolkit mock-cloud --help.";
  if (isDstackError(error)) return `${error.message}\n${error.nextStep ?? nextStep}`;
  const fault: NodeError = Object(error);
  const sentence = sentences[fault.code ?? ""]?.(fault);
  // Node adds advice to the errors of arguments, in further sentences and lines.
  const [first = ""] = (fault.message ?? String(error)).split(/\.\s|\n/);
  return `${sentence ?? `${first.replace(/\.$/, "")}.`}\n${nextStep}`;
}

function describeEvent({ type, ...fields }: MockCloudEvent): string {
  return [type, ...Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`)].join(" ");
}
