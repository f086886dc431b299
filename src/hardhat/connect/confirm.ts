import { createInterface } from "node:readline/promises";
import { InvalidArgumentError } from "../../errors/index.ts";

export interface CreateConfirmParameters {
  /** Whether --yes was given. */
  readonly isAgreed: boolean;
  readonly isJson: boolean;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream;
  readonly signal: AbortSignal;
}

/** A question before something that cannot be taken back. Only a typed yes is a yes. */
export function createConfirm({ isAgreed, isJson, stdin, stderr, signal }: CreateConfirmParameters) {
  return async (question: string): Promise<void> => {
    if (isAgreed) return;
    if (isJson || stdin.isTTY !== true) {
      throw new InvalidArgumentError(`Nobody is there to be asked: ${question}`, {
        nextStep: "Nothing was sent. Give --yes to agree beforehand.",
      });
    }
    const prompt = createInterface({ input: stdin, output: stderr });
    // Ctrl-C, Ctrl-D and a signal reject: whoever leaves the question has not agreed.
    const answer = await prompt.question(`${question} [y/N] `, { signal }).catch(() => "");
    prompt.close();
    if (/^y(?:es)?$/i.test(answer.trim())) return;
    throw new DOMException("Nothing was sent.", "AbortError");
  };
}
