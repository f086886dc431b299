import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A program in its own process, so that its CPU time is its own. It says "ready", then answers each message with one. */
export interface Worker<Task, Answer> {
  ask(task: Task): Promise<Answer>;
  stop(): void;
}

export async function startWorker<Task extends object | string, Answer>(
  program: URL,
  settings: object,
): Promise<Worker<Task, Answer>> {
  const child = fork(program, [JSON.stringify(settings)], {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await nextMessage(child);
  return {
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
