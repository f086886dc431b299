import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../../../scripts/support/paths.ts";
import { describeEnd, runCommand } from "../../../scripts/support/run-command.ts";
import { withoutPrefix } from "../../../src/core/ids.ts";
import { installPythonPackage } from "../install/python-package.ts";
import { startLane } from "./lane.ts";

const config = join(root, "test", "clients", "schemathesis.toml");

/**
 * Lets schemathesis make requests from the OpenAPI document a mock cloud serves, against that cloud.
 *
 * @param python the interpreter `findPython` found
 * @returns what it found, or undefined if nothing is wrong
 */
export async function checkOpenApi(python: string): Promise<string | undefined> {
  const { python: interpreter } = await installPythonPackage(python, "schemathesis-4.32.5");
  const lane = await startLane();
  const folder = mkdtempSync(join(tmpdir(), "schemathesis-"));
  try {
    const cvm = await lane.standingCvm("on-chain");
    const { cloud, apiKey } = lane.world;
    const outcome = await runCommand({
      command: join(dirname(interpreter), process.platform === "win32" ? "schemathesis.exe" : "schemathesis"),
      args: ["--config-file", config, "run", `${cloud.url}/openapi.json`, "--no-color"],
      cwd: folder,
      env: { ...process.env, PHALA_CLOUD_API_KEY: apiKey, CVM_ID: cvm.id, APP_ID: withoutPrefix(cvm.appId) },
      output: "keep",
      timeout: 300_000,
    });
    return outcome.code === 0 ? undefined : `${describeEnd(outcome)}\n${outcome.output}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await lane.close();
  }
}
