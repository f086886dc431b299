import { InvalidArgumentError } from "../errors/index.ts";

/** Collects cleanup steps and runs them, the last one first. */
export class Teardown {
  readonly #steps: Array<() => Promise<void> | void> = [];
  #run: Promise<void> | undefined;

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Runs all steps, even if one fails, and then throws the first error. A second call waits for the same run. */
  run(): Promise<void> {
    this.#run ??= this.#runSteps();
    return this.#run;
  }

  /** Runs the steps because `failure` happened, and returns `failure`. Errors of the steps are ignored. */
  async after(failure: unknown): Promise<unknown> {
    await this.run().catch(() => {});
    return failure;
  }

  async #runSteps(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use by another program",
  EACCES: "needs rights that this user does not have",
};

/** Runs code that opens a port. @throws InvalidArgumentError if the port is not available */
export async function whileListening<Result>(listen: () => Promise<Result>): Promise<Result> {
  try {
    return await listen();
  } catch (error) {
    const { code, port } = Object(error) as { code?: string; port?: number };
    const reason = reasons[code ?? ""];
    if (reason === undefined || port === undefined) throw error;
    throw new InvalidArgumentError(`Port ${port} of this machine ${reason}.`, {
      nextStep: "Choose another port, or 0 for a free one.",
      context: { port },
      cause: error,
    });
  }
}
