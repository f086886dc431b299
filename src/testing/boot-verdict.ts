import { InvalidArgumentError } from "../errors/index.ts";
import { describeSubject, findContractReader } from "./contract-reader.ts";

export interface BootVerdict {
  readonly isAllowed: boolean;
  readonly reason: string;
}

/**
 * The verdict a test is about: asked of the contract in `expect()`, or the answer that stands there itself, promised
 * or not, as a pair or with named fields.
 *
 * @throws InvalidArgumentError, and what asking throws
 */
export async function toBootVerdict(subject: unknown, bootInfo: unknown, matcher: string): Promise<BootVerdict> {
  const authority = findContractReader(subject);
  if (authority !== undefined && bootInfo === undefined) {
    throw new InvalidArgumentError(`${matcher} was not told what boots.`, {
      nextStep: "Pass the boot information, such as bootInfo() of deployDstack, as the last argument.",
      context: { matcher },
    });
  }
  const answer = authority === undefined ? await subject : await authority.read("isAppAllowed", bootInfo);
  const verdict = parseVerdict(answer);
  if (verdict !== undefined) return verdict;
  throw new InvalidArgumentError(
    `${matcher} needs a contract or a verdict in expect(), got ${describeSubject(answer)}.`,
    {
      nextStep: "Pass a KMS or an app, or what isAppAllowed or readBootVerdict answers.",
      context: { matcher },
    },
  );
}

function parseVerdict(answer: unknown): BootVerdict | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const named = answer as Readonly<Record<string, unknown>>; // an object, and every field is checked below
  const [isAllowed, reason] = Array.isArray(answer) ? answer : [named.isAllowed, named.reason];
  return typeof isAllowed === "boolean" && typeof reason === "string" ? { isAllowed, reason } : undefined;
}
