import { InvalidArgumentError } from "../../errors/index.ts";

const sent = ["auto", "none", "7702"] as const;

export type BatchArgument =
  | { readonly mode: (typeof sent)[number] }
  /** `file` is where the Safe app's file goes; chosen for the operator if absent. */
  | { readonly mode: "safe"; readonly file: string | undefined };

/** What `--batch` says: `auto`, `none`, `7702`, `safe` or `safe:FILE`. @throws InvalidArgumentError */
export function parseBatch(raw = "auto"): BatchArgument {
  const mode = sent.find((mode) => mode === raw);
  if (mode !== undefined) return { mode };
  if (raw === "safe") return { mode: "safe", file: undefined };
  if (raw.startsWith("safe:") && raw.length > 5) return { mode: "safe", file: raw.slice(5) };
  throw new InvalidArgumentError("--batch must be auto, none, 7702, safe or safe:FILE.", {
    nextStep:
      "auto, the default, writes a file where a Safe is the owner, else takes one transaction where that is worth it.",
  });
}
