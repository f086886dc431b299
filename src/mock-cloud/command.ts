import { parseArgs } from "node:util";
import { z } from "zod";
import { InvalidArgumentError, isDstackError } from "../errors/index.ts";
import { readBoundedText } from "../files/read-bounded.ts";
import type { MockCloudEvent } from "./events.ts";
import { parseAllowedHosts, parseAllowedOrigins, splitList } from "./http/page-guard.ts";
import { parseSeed } from "./parse-seed.ts";
import { type RunningMockCloud, type StartMockCloudOptions, startMockCloud } from "./start.ts";

const help = `Usage: dstack-mock-cloud [options]

  --host ADDRESS           address to listen on; other machines can connect unless it is loopback (default: 127.0.0.1)
  --port PORT              port to listen on; 0 chooses a free port (default: 4000)
  --public-url URL         start of the links in answers (default: the address that it listens on)
  --state FILE             file that stores the state across restarts (default: in memory)
  --seed FILE              initial objects: a MockCloudSeed as JSON
  --rollover-ms MS         how long a CVM is down during a rollover (default: 1000)
  --allowed-hosts NAMES    further host names that the server accepts, separated by commas
  --allowed-origins LIST   origins of web pages that may call the server, separated by commas (default: none)
  --device-login           give \`phala login\` an API key without approval
  --private-webhooks       allow webhooks to private and link-local addresses
  --quiet                  print no events
  --help                   print this help

Environment: DSTACK_CLOUD_API_KEY adds an API key to the seed's first workspace, so that the file needs no key.
DSTACK_CLOUD_RPC_URL is the endpoint of every on-chain KMS that has none. DSTACK_CLOUD_ADMIN_KEY enables the admin
endpoints; callers must send this key.
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
  readonly cloud: RunningMockCloud | undefined;
}

/** The command `dstack-mock-cloud`. If the cloud cannot start, it prints why and the exit code is 2. */
export async function runCommand(context: CommandContext): Promise<CommandOutcome> {
  const { args, stdout, stderr } = context;
  try {
    const flags = parseFlags(args);
    if (flags.help) {
      stdout.write(help);
      return { exitCode: 0, cloud: undefined };
    }
    const cloud = await startMockCloud(await toOptions(flags, context));
    if (!isLoopback(cloud))
      stderr.write(`Other machines on the network can reach this cloud (--host ${flags.host}).\n`);
    stdout.write(`${JSON.stringify({ url: cloud.url, baseUrl: cloud.baseUrl })}\n`);
    return { exitCode: 0, cloud };
  } catch (error) {
    stderr.write(`${describe(error)}\n`);
    return { exitCode: 2, cloud: undefined };
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
  const { DSTACK_CLOUD_API_KEY: apiKey, DSTACK_CLOUD_RPC_URL: rpcUrl, DSTACK_CLOUD_ADMIN_KEY: adminKey } = env;
  if (flags.host.trim() === "") throw new InvalidArgumentError("--host must not be empty.");
  if (apiKey?.trim() === "") throw new InvalidArgumentError("DSTACK_CLOUD_API_KEY must not be empty.");
  const seed = flags.seed === undefined ? {} : await readSeed(flags.seed);
  return {
    ...parseSeed(seed, { apiKey, rpcUrl }),
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

function parseNumber(flag: string, raw: string, largest: number): number {
  if (/^\d{1,9}$/.test(raw) && Number(raw) <= largest) return Number(raw);
  throw new InvalidArgumentError(`${flag} must be a whole number from 0 to ${largest}.`);
}

/** Describes why the cloud cannot start, and what to do. */
function describe(error: unknown): string {
  const nextStep = "See dstack-mock-cloud --help.";
  if (isDstackError(error)) return `${error.message}\n${error.nextStep ?? nextStep}`;
  if (error instanceof z.ZodError) return `The seed is not valid.\n${z.prettifyError(error)}\n${nextStep}`;
  const { code, port, message } = Object(error) as { code?: string; port?: number; message?: string };
  if (code === "ERR_SQLITE_ERROR") return `The state file cannot be used: ${message}.\nUse another file: --state FILE.`;
  if (code === "EADDRINUSE")
    return `Port ${port} is in use by another program.\nUse another port: --port PORT, or --port 0 for a free one.`;
  return `${message ?? String(error)}\n${nextStep}`;
}

function describeEvent({ type, ...fields }: MockCloudEvent): string {
  return [type, ...Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`)].join(" ");
}
