import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { installFlags, npmCommand } from "../../../scripts/npm.mjs";
import { root } from "../../../scripts/support/paths.ts";
import { installOnce } from "./install-once.ts";
import { runTool } from "./run-tool.ts";

const pins = join(root, "test", "clients", "pins", "npm");
const files = ["package.json", "package-lock.json"];

/** Installs the CLI and the JavaScript SDK and returns the folder that holds their `node_modules`. */
export function installNpmClients(): Promise<string> {
  return installOnce({
    name: "npm",
    inputs: files.map((file) => readFileSync(join(pins, file), "utf8")),
    install: async (folder) => {
      for (const file of files) copyFileSync(join(pins, file), join(folder, file));
      // The install scripts would only compile optional parts of libraries that the clients do not load here.
      await runTool({
        ...npmCommand(["ci", ...installFlags]),
        cwd: folder,
      });
    },
  });
}
