import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { ClientError, MethodMissingError } from "./client-errors.ts";

/** One call of a client's own function, in the format of the drivers. */
export interface DriverRequest {
  /** A method of the API client, a function for the chain, a webhook helper, or any other helper. */
  readonly kind: "api" | "chain" | "webhook" | "helper";
  /** The JavaScript name; the other drivers translate it to their client's name. */
  readonly method: string;
  readonly parameters?: unknown;
  readonly apiKey?: string;
  readonly baseUrl?: string;
  readonly version?: string | undefined;
}

export interface Driver {
  /** @throws ClientError if the client failed, MethodMissingError if it has no such function */
  call(request: DriverRequest): Promise<unknown>;
  close(): Promise<void>;
}

export interface StartDriverParameters {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** @default 30_000 */
  readonly timeoutMs?: number;
}

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly missing?: string;
  readonly error?: { name: string; message: string; status?: number; code?: string; detail?: unknown };
}

/** Starts a driver: a small program in the client's own language that calls it on demand. */
export function startDriver({ command, args, env, timeoutMs = 30_000 }: StartDriverParameters): Driver {
  const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  const waiting = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void }>();
  let nextId = 0;
  let log = "";
  let ended: Error | undefined;
  const end = (error: Error) => {
    ended = error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-4000);
  });
  child.once("error", (error) => end(new Error(`${command} could not be started: ${error.message}`)));
  const closed = new Promise<void>((resolve) =>
    child.once("close", (code) => {
      end(new Error(`The driver ended with code ${code}: ${log}`));
      resolve();
    }),
  );
  createInterface({ input: child.stdout }).on("line", (line) => {
    const reply: Reply = JSON.parse(line);
    waiting.get(reply.id)?.resolve(reply);
    waiting.delete(reply.id);
  });
  // If the driver ends during a write, `close` reports it.
  child.stdin.on("error", () => undefined);

  return {
    call: async (request) => {
      if (ended) throw ended;
      const id = nextId++;
      let timer: NodeJS.Timeout | undefined;
      const reply = await new Promise<Reply>((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        timer = setTimeout(() => reject(new Error(`${request.method} did not return in ${timeoutMs} ms`)), timeoutMs);
        child.stdin.write(`${JSON.stringify({ id, ...request })}\n`);
      }).finally(() => clearTimeout(timer));
      if (reply.missing !== undefined) throw new MethodMissingError(reply.missing);
      if (reply.error) throw new ClientError(reply.error);
      return reply.value;
    },
    close: async () => {
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 2_000);
      await closed;
      clearTimeout(timer);
    },
  };
}
