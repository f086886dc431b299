import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../scripts/support/paths.ts";
import { runCommand } from "../../../scripts/support/run-command.ts";
import { installOnce } from "./install-once.ts";
import { runTool } from "./run-tool.ts";

const source = join(root, "test", "clients", "drivers", "go");
const files = ["go.mod", "main.go", "requests.go", "answers.go"];

/** Builds our own Go program, which needs nothing but the standard library, and returns its path. */
export async function buildGoShapes(): Promise<string> {
  const executable = process.platform === "win32" ? "shapes.exe" : "shapes";
  const folder = await installOnce({
    name: "go-shapes",
    inputs: [
      ...files.map((file) => readFileSync(join(source, file), "utf8")),
      await runTool({ command: "go", args: ["version"] }),
    ],
    install: async (folder) => {
      const env = { ...process.env, GOFLAGS: "-mod=mod", GOPROXY: "off", CGO_ENABLED: "0" };
      await runTool({ command: "go", args: ["build", "-o", join(folder, executable), "."], cwd: source, env });
    },
  });
  return join(folder, executable);
}

export async function hasGo(): Promise<boolean> {
  return (await runCommand({ command: "go", args: ["version"], output: "keep" })).code === 0;
}
