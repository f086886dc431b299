import { spawnSync } from "node:child_process";
import { fstatSync, lstatSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../../../../scripts/support/paths.ts";
import type { UpdateArguments } from "../../../../src/commands/update-arguments.ts";
import { readBoundedText } from "../../../../src/files/read-bounded.ts";
import type { ArgumentsOutcome } from "../../../support/hardhat/read-arguments-process.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const compose = "services:\n  web:\n    image: nginx\n";
const program = join(root, "test", "support", "hardhat", "read-arguments-process.ts");

// How `--compose` and similar options read pipes that a shell has opened.
describe("a pipe as an argument", () => {
  const directory = useTemporaryDirectory();

  it("is read when the shell has opened it, under each name of a descriptor, also with late text", () => {
    const [outcome, other] = runInShell(
      `(sleep 0.2; printf '${compose.replaceAll("\n", "\\n")}') |
        "$@" <(printf 'A=1\\n') <(sleep 0.3; echo script) 5< <(echo other)`,
      (first, second) => [
        { cvm: "a", compose: "/dev/stdin", envFile: first, preLaunchScript: second },
        { cvm: "a", preLaunchScript: "/proc/self/fd/5" },
      ],
    );
    expect(outcome).to.deep.include({
      dockerCompose: compose,
      environment: [{ key: "A", value: "1" }],
      preLaunchScript: "script\n",
    });
    expect(other).to.have.property("preLaunchScript", "other\n");
  });

  it("is read when the standard input is a socket", () => {
    const args = JSON.stringify([{ cvm: "a", compose: "/dev/stdin" }]);
    const child = spawnSync(process.execPath, ["--import", "tsx", program, args], { cwd: root, input: compose });
    expect(JSON.parse(child.stdout.toString())[0]).to.deep.include({ dockerCompose: compose });
  });

  it("is refused when it never ends, or is read a second time", () => {
    const link = join(directory.path, "link");
    symlinkSync("/dev/stdin", link);
    const [throughLink, endless, again, closed] = runInShell('yes | "$@"', () => [
      { cvm: "a", preLaunchScript: link },
      { cvm: "a", preLaunchScript: "/dev/stdin" },
      { cvm: "a", preLaunchScript: "/dev/stdin" },
      { cvm: "a", preLaunchScript: "/dev/fd/99" },
    ]);
    expect(throughLink)
      .to.have.property("error")
      .that.matches(/link cannot be used: it is a pipe/);
    expect(endless).to.have.property("error").that.includes("more than 16 MiB");
    expect(again).to.have.property("error").that.includes("has already been read");
    expect(closed).to.have.property("error").that.includes("did not reach this program");
    expect(closed).to.have.property("nextStep").that.includes("/dev/stdin");
  });

  // Only Linux shows which end of a pipe a descriptor is.
  if (process.platform === "linux")
    it("is refused at once when it is a descriptor of Node itself", async () => {
      const own = readdirSync("/proc/self/fd").find((name) => isReadEnd(name) && hasWriteEnd(linkOf(name)));
      expect(own, "a pipe of Node").to.be.a("string");
      const error = await rejection(readBoundedText(`/dev/fd/${own}`));
      expect(error).to.have.property("message").that.includes("did not reach this program");
    });
});

/** Runs bash with the program as "$@"; pipes after it are the paths that `argsOf` is given. */
function runInShell(
  script: string,
  argsOf: (...paths: readonly string[]) => readonly UpdateArguments[],
): readonly ArgumentsOutcome[] {
  const args = JSON.stringify(argsOf("PATH_0", "PATH_1"));
  const shell = `replace() { local text=$1; shift; local i=0
    for path in "\${@:1}"; do text=\${text/PATH_$i/$path}; i=$((i + 1)); done; printf '%s' "$text"; }
    run() { exec "$0" --import tsx ${JSON.stringify(program)} "$(replace "$JSON" "$@")"; }
    set -- run; ${script}`;
  const child = spawnSync("bash", ["-c", shell, process.execPath], {
    cwd: root,
    env: { ...process.env, JSON: args },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 30_000,
  });
  return JSON.parse(child.stdout.toString());
}

function linkOf(name: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    return undefined; // the folder's own descriptor, closed by now
  }
}

function isReadEnd(name: string): boolean {
  return linkOf(name)?.startsWith("pipe:") === true && (lstatSync(`/proc/self/fd/${name}`).mode & 0o400) !== 0;
}

function hasWriteEnd(link: string | undefined): boolean {
  return readdirSync("/proc/self/fd").some(
    (name) =>
      linkOf(name) === link && (lstatSync(`/proc/self/fd/${name}`).mode & 0o200) !== 0 && fstatSync(+name).isFIFO(),
  );
}
