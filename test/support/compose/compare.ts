import { requireValidDockerCompose } from "../../../src/core/compose-schema/validate.ts";
import { InvalidAppComposeError } from "../../../src/errors/index.ts";
import type { ComposeCase } from "./corpus.ts";
import { acceptedHere, refusedHere } from "./differences.ts";

/**
 * Returns a sentence for each file on which our validator and Docker Compose differ without a reason, and for each
 * reason that is no longer needed.
 */
export async function compareVerdicts(
  files: readonly Pick<ComposeCase, "name" | "text" | "isAccepted">[],
): Promise<readonly string[]> {
  const found = await Promise.all(
    files.map(async ({ name, text, isAccepted }) => {
      const refusal = await refusalOf(text);
      const reason = isAccepted ? refusedHere[name] : acceptedHere[name];
      const stale = isAccepted ? acceptedHere[name] : refusedHere[name];
      const isSame = isAccepted === (refusal === undefined);
      if (stale !== undefined || (isSame && reason !== undefined)) return [`${name}: its reason is not needed.`];
      if (isSame || reason !== undefined) return [];
      const [ours, docker] = [refusal === undefined ? "accept" : "refuse", isAccepted ? "accepts" : "refuses"];
      return [`${name}: we ${ours} it, but Docker Compose ${docker} it. ${refusal ?? ""}`.trimEnd()];
    }),
  );
  return found.flat();
}

/** Returns why an update with this compose file would be refused. Undefined if it would not. */
async function refusalOf(text: string): Promise<string | undefined> {
  try {
    await requireValidDockerCompose(text);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidAppComposeError) return error.message;
    throw error;
  }
}
