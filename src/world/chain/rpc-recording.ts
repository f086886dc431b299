import { appendFileSync } from "node:fs";
import { BaseError, RpcRequestError } from "viem";
import { z } from "zod";
import { httpEndpoint } from "../../chain/endpoint.ts";
import { cleanText } from "../../core/text.ts";
import { InvalidArgumentError, UnusableFileError } from "../../errors/index.ts";
import { faultCode, writeWholeFile } from "../../files/own-file.ts";
import { readBoundedText } from "../../files/read-bounded.ts";
import type { PageGuardOptions } from "../../mock-cloud/http/page-guard.ts";
import { whileListening } from "../teardown.ts";
import { createForkErrorCleaner } from "./rpc-faults.ts";
import { type AnswerRpc, type RpcServer, serveRpc } from "./rpc-server.ts";

export interface RecordRpcParameters extends PageGuardOptions {
  /** The endpoint to record. It is not written to the file, because it may hold a secret. */
  readonly url: string;
  /** An older recording is replaced, another file is not. */
  readonly file: string;
  /** @default any free port */
  readonly port?: number | undefined;
}

export interface ReplayRpcParameters extends PageGuardOptions {
  readonly file: string;
  /** @default any free port */
  readonly port?: number | undefined;
}

export interface RpcRecording extends RpcServer {
  /** The number of different questions that have an answer. */
  readonly size: () => number;
  /** Questions of a replay that the recording does not answer, oldest first. */
  readonly missing: () => readonly string[];
}

/** A recording of a fork has some thousand answers; a whole scan of an app's logs may be large. In bytes. */
const longestRecording = 512 * 1024 * 1024;
const kind = "dstack-rpc-recording";
const version = 1;

const headerSchema = z.strictObject({ kind: z.literal(kind), version: z.literal(version) });
const errorSchema = z.strictObject({ code: z.number(), message: z.string(), data: z.unknown().optional() });
const answerSchema = z.union([z.strictObject({ result: z.unknown() }), z.strictObject({ error: errorSchema })]);
const lineSchema = z.strictObject({ method: z.string(), params: z.array(z.unknown()), answer: answerSchema });

type RecordedAnswer = z.output<typeof answerSchema>;

/**
 * Serves an RPC endpoint on loopback and records each answer in a file. The same question gets its first answer again,
 * so everything that asks here sees the chain as it was when the recording began. Only questions are passed on: a call
 * that changes the chain or spends is refused.
 *
 * @throws InvalidArgumentError if the file holds something other than a recording, or cannot be written
 *
 * @example
 * import { recordRpc, startWorld } from "dstack-toolkit/world";
 * const recording = await recordRpc({ url: "https://mainnet.base.org", file: "base.rpc.jsonl" });
 * const world = await startWorld({ forkUrl: recording.url });
 * await world.close();
 * await recording.close();
 */
export async function recordRpc({ url, file, port = 0, ...guard }: RecordRpcParameters): Promise<RpcRecording> {
  await requireReplaceable(file);
  await writeWholeFile(file, `${JSON.stringify({ kind, version })}\n`);
  const { request } = httpEndpoint(url)({ retryCount: 2 });
  // Errors are written to the file, and clients of the recording see them. The URL may hold a secret.
  const cleaned = createForkErrorCleaner(url);
  const answers = new Map<string, Promise<RecordedAnswer>>();
  const ask = async (method: string, params: readonly unknown[]): Promise<RecordedAnswer> => {
    const answer = await request({ method, params: [...params] }).then(
      (result: unknown) => ({ result: result ?? null }),
      (error: unknown) => ({ error: lastingError(error, cleaned) }),
    );
    appendFileSync(file, `${JSON.stringify({ method, params, answer })}\n`);
    return answer;
  };
  return serve({
    port,
    guard,
    size: () => answers.size,
    find: (method, params) => {
      const key = keyOf(method, params);
      const known = answers.get(key) ?? ask(method, params);
      answers.set(key, known);
      // An outage is no answer. The next one who asks asks the endpoint again.
      known.catch(() => answers.delete(key));
      return known;
    },
  });
}

/**
 * Serves a recording on loopback, without the endpoint. A question that is not in it gets an error that says so.
 *
 * @throws InvalidArgumentError if the file is no recording
 *
 * @example
 * import { replayRpc, startWorld } from "dstack-toolkit/world";
 * const recording = await replayRpc({ file: "base.rpc.jsonl" });
 * const world = await startWorld({ forkUrl: recording.url });
 * await world.close();
 * await recording.close();
 */
export async function replayRpc({ file, port = 0, ...guard }: ReplayRpcParameters): Promise<RpcRecording> {
  const answers = await loadRecording(file);
  return serve({
    port,
    guard,
    size: () => answers.size,
    find: async (method, params) => answers.get(keyOf(method, params)),
  });
}

export interface OpenForkSourceParameters extends PageGuardOptions {
  readonly forkUrl?: string | undefined;
  readonly record?: string | undefined;
  readonly replay?: string | undefined;
}

export interface ForkSource {
  /** Undefined if nothing is to be forked. */
  readonly forkUrl: string | undefined;
  readonly recording: RpcRecording | undefined;
}

/** Starts the recording or the replay that a fork asks in place of its endpoint. @throws InvalidArgumentError */
export async function openForkSource(parameters: OpenForkSourceParameters): Promise<ForkSource> {
  const { forkUrl, record, replay, ...guard } = parameters;
  if (replay !== undefined && (forkUrl !== undefined || record !== undefined)) {
    throw new InvalidArgumentError("`replay` takes the place of an endpoint, so it excludes `forkUrl` and `record`.", {
      nextStep: "Give either `replay` or `forkUrl`.",
    });
  }
  if (record !== undefined && forkUrl === undefined) {
    throw new InvalidArgumentError("`record` needs `forkUrl`, the endpoint to record.", {
      nextStep: "Give the RPC URL of the chain.",
    });
  }
  if (replay !== undefined) return opened(await replayRpc({ file: replay, ...guard }));
  if (record === undefined || forkUrl === undefined) return { forkUrl, recording: undefined };
  return opened(await recordRpc({ url: forkUrl, file: record, ...guard }));
}

function opened(recording: RpcRecording): ForkSource {
  return { forkUrl: recording.url, recording };
}

interface ServeParameters {
  readonly port: number;
  readonly guard: PageGuardOptions;
  readonly size: () => number;
  readonly find: (method: string, params: readonly unknown[]) => Promise<RecordedAnswer | undefined>;
}

async function serve({ port, guard, size, find }: ServeParameters): Promise<RpcRecording> {
  const missing = new Set<string>();
  const answerRpc: AnswerRpc = async (method, params) => {
    if (!isQuestion(method)) throw rpcError(-32601, `A recording answers questions only, not ${method}.`);
    const answer = await find(method, params);
    if (answer === undefined) {
      missing.add(keyOf(method, params));
      const asked = cleanText(`${method} ${JSON.stringify(params)}`, 300);
      throw rpcError(-32004, `The recording has no answer to ${asked}. Record again with the endpoint.`);
    }
    if ("error" in answer) throw Object.assign(new Error(answer.error.message), answer.error);
    return answer.result;
  };
  const server = await whileListening(() => serveRpc(answerRpc, port, guard));
  return { ...server, size, missing: () => [...missing] };
}

/** Reads the chain. Filters are left out, because they exist only on the endpoint that made them. */
function isQuestion(method: string): boolean {
  return /^(?:eth_(?!send|sign|submit|newFilter|newBlock|newPending|getFilter|uninstall|subscribe)|net_|web3_)/.test(
    method,
  );
}

function keyOf(method: string, params: readonly unknown[]): string {
  return JSON.stringify([method, params]);
}

function rpcError(code: number, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Codes that say something about the question: it reverted, or the endpoint does not know the method or its form. */
const lasting: readonly number[] = [3, -32601, -32602];

/** An error that the endpoint would give again. @throws the error, if it says something about the endpoint alone */
function lastingError(error: unknown, cleaned: (error: unknown) => Error): z.output<typeof errorSchema> {
  // viem wraps the errors of codes that it knows.
  const fault = error instanceof BaseError ? error.walk((link) => link instanceof RpcRequestError) : undefined;
  if (!(fault instanceof RpcRequestError) || !lasting.includes(fault.code)) throw cleaned(error);
  const { code, details, data } = fault;
  return { code, ...pick(cleaned({ message: details, data })) };
}

function pick({ message, data }: Error & { readonly data?: unknown }) {
  return { message, ...(data !== undefined && { data }) };
}

async function loadRecording(file: string): Promise<ReadonlyMap<string, RecordedAnswer>> {
  const [header = "", ...lines] = (await readBoundedText(file, longestRecording)).split("\n");
  if (!headerSchema.safeParse(parseJson(header)).success) throw notARecording(file, "it has no header of one");
  const answers = new Map<string, RecordedAnswer>();
  for (const [index, line] of lines.entries()) {
    // A process that was killed may have left the last line without its end.
    if (index === lines.length - 1) break;
    const read = lineSchema.safeParse(parseJson(line));
    if (!read.success) throw notARecording(file, `line ${index + 2} is damaged`);
    const { method, params, answer } = read.data;
    answers.set(keyOf(method, params), answer);
  }
  return answers;
}

/** @throws InvalidArgumentError if there is a file that is no recording */
async function requireReplaceable(file: string): Promise<void> {
  await loadRecording(file).catch((error: unknown) => {
    if (!(error instanceof UnusableFileError) || faultCode(error.cause) !== "ENOENT") throw error;
  });
}

function notARecording(file: string, problem: string): InvalidArgumentError {
  return new InvalidArgumentError(`${file} is no recording of an RPC endpoint: ${problem}.`, {
    nextStep: "Name the file of a recording, or a file that does not exist.",
    context: { file },
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
