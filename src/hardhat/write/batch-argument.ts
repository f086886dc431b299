import { InvalidArgumentError } from "../../errors/index.ts";

const modes = ["auto", "none", "7702"] as const;
export type BatchArgument = (typeof modes)[number];

/** What `--batch` says. @throws InvalidArgumentError */
export function parseBatch(raw: string | undefined): BatchArgument {
  const mode = modes.find((mode) => mode === (raw ?? "auto"));
  if (mode !== undefined) return mode;
  throw new InvalidArgumentError(`--batch must be one of ${modes.join(", ")}.`, {
    nextStep: "auto, the default, takes one transaction where that is possible and worth it.",
  });
}
