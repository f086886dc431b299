import { readdirSync, readFileSync } from "node:fs";
import { unusualFiles } from "./characters.ts";
import { settingFiles } from "./settings.ts";

export interface ComposeCase {
  /** Unique. */
  readonly name: string;
  /** The file of the corpus it is in. */
  readonly topic: string;
  readonly text: string;
  /** Whether Docker Compose accepts it with `composeEnvironment`. The stage `clients` asks its loader. */
  readonly isAccepted: boolean;
}

/** The variables that are set when Docker Compose reads the corpus. Names that begin with UNSET are not set. */
export const composeEnvironment: Readonly<Record<string, string>> = {
  TAG: "1.25",
  PORT: "8080",
  EMPTY: "",
  COUNT: "2",
  TEXT: "text",
  FLAG: "true",
  DURATION: "5s",
  CONDITION: "service_started",
  NAME: "name",
  PROJECT: "shop",
  SERVICE: "a",
  VOLUME: "data",
};

/** Reads all compose files of the corpus. Each begins with a line `### accepted: NAME` or `### refused: NAME`. */
export function readComposeCorpus(): readonly ComposeCase[] {
  const folder = new URL("corpus/", import.meta.url);
  const written = readdirSync(folder)
    .toSorted()
    .flatMap((file) => {
      const [, ...parts] = readFileSync(new URL(file, folder), "utf8").split(/^### (accepted|refused): (.*)\n/m);
      const topic = file.replace(/\.txt$/, "");
      return Array.from({ length: parts.length / 3 }, (_, index) => {
        const [verdict, name = "", text = ""] = parts.slice(3 * index);
        return { name, topic, text, isAccepted: verdict === "accepted" };
      });
    });
  const built = Object.entries({ characters: unusualFiles, settings: settingFiles }).flatMap(([topic, files]) =>
    files.map(([verdict, name, text]) => ({ name, topic, text, isAccepted: verdict === "accepted" })),
  );
  return [...written, ...built];
}
