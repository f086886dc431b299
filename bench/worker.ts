import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A program in its own process, so that its CPU time is its own. It sends one message, then one for each that it gets. */
export interface Worker<Task, Answer, Started = unknown> {
  /** Its first message. */
  readonly started: Started;
  ask(task: Task): Promise<Answer>;
  stop(): void;
}

export async function startWorker<Task extends object | string, Answer, Started = unknown>(
  program: URL,
  settings: object,
): Promise<Worker<Task, Answer, Started>> {
  const child = fork(program, [JSON.stringify(settings)], {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const started = (await nextMessage(child)) as Started; // what the program sends
  return {
    started,
    ask: async (task) => {
      const answer = nextMessage(child);
      child.send(task);
      return (await answer) as Answer; // what the program sends
    },
    stop: () => child.disconnect(),
  };
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  const { signal } = ended;
  try {
    const [message] = await Promise.race([
      once(child, "message", { signal }),
      once(child, "exit", { signal }).then(([code]) => Promise.reject(new Error(`A worker ended with code ${code}.`))),
    ]);
    return message;
  } finally {
    ended.abort();
  }
}
