import { setTimeout as wait } from "node:timers/promises";

/**
 * Asks every few milliseconds until there is an answer. Only the time limit of the test ends the wait, so that no test
 * fails because the machine is busy.
 */
export async function until<Answer>(
  ask: () => Promise<Answer | undefined | false> | Answer | undefined | false,
): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await wait(5);
  }
}
