import { InvalidArgumentError } from "../errors/index.ts";

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is taken by another program",
  EACCES: "may not be used by this user",
};

/** Runs what listens on a port. @throws InvalidArgumentError if the port is not to be had */
export async function whileListening<Result>(listen: () => Promise<Result>): Promise<Result> {
  try {
    return await listen();
  } catch (error) {
    const { code, port } = Object(error) as { code?: string; port?: number };
    const reason = reasons[code ?? ""];
    if (reason === undefined || port === undefined) throw error;
    throw new InvalidArgumentError(`Port ${port} of this machine ${reason}.`, {
      nextStep: "Choose another port, or 0 for any that is free.",
      context: { port },
      cause: error,
    });
  }
}
