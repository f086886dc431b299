import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { isDeepStrictEqual } from "node:util";
import { checkDockerCompose, parseComposeYaml } from "../../../src/core/docker-compose.ts";
import { compareVerdicts } from "../../support/compose/compare.ts";
import { type ComposeCase, composeEnvironment, readComposeCorpus } from "../../support/compose/corpus.ts";
import { buildGoProgram } from "../install/go-program.ts";

interface Verdict {
  readonly name: string;
  readonly accepted: boolean;
  readonly error?: string;
  readonly value?: unknown;
}

/**
 * Asks Docker Compose's own loader about every compose file of the corpus, and compares its verdict with the recorded
 * one and with ours. Returns what is wrong, as sentences.
 */
export async function checkCompose(): Promise<readonly string[]> {
  const files = readComposeCorpus();
  const verdicts = await askLoader(await buildGoProgram("compose-go"), files);
  const wrong = files.flatMap((file, index) => {
    const verdict = verdicts[index];
    if (verdict?.name !== file.name) return [`${file.name}: compose-go gave no verdict.`];
    if (verdict.accepted !== file.isAccepted) {
      return [
        `${file.name}: compose-go ${verdict.accepted ? "accepts" : "refuses"} it. ${verdict.error ?? ""}`.trimEnd(),
      ];
    }
    return verdict.value === undefined || isReadAlike(file.text, verdict.value)
      ? []
      : [`${file.name}: we read another value than compose-go.`];
  });
  const judged = files.map((file, index) => ({ ...file, isAccepted: verdicts[index]?.accepted === true }));
  return [...wrong, ...(await compareVerdicts(judged))];
}

async function askLoader(program: string, files: readonly ComposeCase[]): Promise<readonly Verdict[]> {
  const loader = spawn(program, [], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(loader, "close");
  loader.stdin.end(files.map((file) => `${JSON.stringify({ ...file, environment: composeEnvironment })}\n`).join(""));
  const output = await text(loader.stdout);
  const [code] = await ended;
  if (code !== 0) throw new Error(`compose-go exited with code ${code}.`);
  return output
    .trimEnd()
    .split("\n")
    .map((line): Verdict => JSON.parse(line));
}

/** True also if we refuse the file. The comparison of the verdicts covers that. */
function isReadAlike(file: string, value: unknown): boolean {
  let ours: unknown;
  try {
    checkDockerCompose(file);
    ours = parseComposeYaml(file);
  } catch {
    return true;
  }
  return isDeepStrictEqual(JSON.parse(JSON.stringify(ours)), value);
}
