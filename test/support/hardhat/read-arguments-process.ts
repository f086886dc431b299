// Reads the arguments of `dstack update`, several times where there are several, in a process whose descriptors a shell
// has opened. The arguments come as JSON in the command line; what became of each is printed as JSON.
import { parseUpdateArguments, type UpdateArguments } from "../../../src/commands/update-arguments.ts";
import { isDstackError } from "../../../src/errors/index.ts";

export type ArgumentsOutcome =
  | { readonly dockerCompose?: string; readonly preLaunchScript?: string; readonly environment?: unknown }
  | { readonly error: string; readonly nextStep: string | undefined };

const wanted: readonly UpdateArguments[] = JSON.parse(process.argv[2] ?? "[]");
const outcomes: unknown[] = [];
for (const args of wanted) {
  outcomes.push(
    await parseUpdateArguments(args, {}).catch((error: unknown) => {
      if (!isDstackError(error)) throw error;
      return { error: error.message, nextStep: error.nextStep };
    }),
  );
}
console.log(JSON.stringify(outcomes));
