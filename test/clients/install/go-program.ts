import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../scripts/support/paths.ts";
import { runCommand } from "../../../scripts/support/run-command.ts";
import { installOnce } from "./install-once.ts";
import { runTool } from "./run-tool.ts";

/** Our own Go programs, each with its folder below `drivers`. */
const folders = { "go-shapes": "go", "compose-go": "compose" } as const;

/**
 * Builds one of our own Go programs and returns its path. Go downloads the modules that its go.sum lists, each to the
 * hash; a program without a go.sum needs nothing but the standard library.
 */
export async function buildGoProgram(name: keyof typeof folders): Promise<string> {
  const source = join(root, "test", "clients", "drivers", folders[name]);
  const files = readdirSync(source).toSorted();
  const executable = process.platform === "win32" ? `${name}.exe` : name;
  const folder = await installOnce({
    name,
    inputs: [
      ...files.map((file) => readFileSync(join(source, file), "utf8")),
      await runTool({ command: "go", args: ["version"] }),
    ],
    install: async (folder) => {
      const offline = files.includes("go.sum") ? {} : { GOPROXY: "off" };
      const env = { ...process.env, ...offline, GOFLAGS: "-mod=readonly", CGO_ENABLED: "0" };
      const args = ["build", "-o", join(folder, executable), "."];
      await runTool({ command: "go", args, cwd: source, env });
    },
  });
  return join(folder, executable);
}

export async function hasGo(): Promise<boolean> {
  return (await runCommand({ command: "go", args: ["version"], output: "keep" })).code === 0;
}
