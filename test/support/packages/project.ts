import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { npmCommand } from "../../../scripts/npm.mjs";
import { root } from "../../../scripts/support/paths.ts";
import { type PackageManifest, readJson } from "../repository/files.ts";

/** The versions this repository is developed with, which are the newest it promises to work with. */
export const { devDependencies: newest } = readJson<PackageManifest>("package.json");

/** A folder for projects beside the packed toolkit, outside the repository and so outside its node_modules. */
export interface Workshop {
  readonly directory: string;
  readonly tarball: string;
  /** A project with these files, or a copy of a folder of this repository. */
  create(name: string, files: Readonly<Record<string, string>> | { readonly copyOf: string }): string;
  remove(): void;
}

/** Packed once in a process. */
let archive: Buffer | undefined;

export function openWorkshop(): Workshop {
  const directory = mkdtempSync(join(tmpdir(), "dstack-toolkit-"));
  const tarball = join(directory, "dstack-toolkit.tgz");
  archive ??= pack(directory);
  writeFileSync(tarball, archive);
  return {
    directory,
    tarball,
    create(name, files) {
      const project = join(directory, name);
      mkdirSync(project, { recursive: true });
      if (typeof files.copyOf === "string") cpSync(join(root, files.copyOf), project, { recursive: true });
      else
        for (const [path, text] of Object.entries(files)) {
          mkdirSync(dirname(join(project, path)), { recursive: true });
          writeFileSync(join(project, path), text);
        }
      return project;
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

function pack(directory: string): Buffer {
  run(root, [process.execPath, "scripts/run.mjs", "scripts/build.ts", "--no-compile"]);
  const report = npm(root, "pack", "--json", "--ignore-scripts", "--pack-destination", directory);
  const [{ filename }] = JSON.parse(report) as [{ readonly filename: string }]; // npm's report on one package
  return readFileSync(join(directory, filename));
}

/** A real installation from the registry. Nothing is added to what is named, so that a missing peer stays missing. */
export function install(project: string, ...packages: readonly string[]): void {
  npm(project, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--no-save", ...packages);
}

/** Links packages of this repository's own node_modules, which saves their download. */
export function link(project: string, ...names: readonly string[]): void {
  for (const name of names) {
    const path = join(project, "node_modules", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(join(root, "node_modules", name), path, "junction");
  }
}

export function npm(cwd: string, ...args: readonly string[]): string {
  const { command, args: all } = npmCommand(args);
  return run(cwd, [command, ...all]);
}

export function run(cwd: string, [command = "", ...args]: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    env: { ...outerEnvironment(), ...env },
    encoding: "utf8",
  });
  expect(status, `${command} ${args.join(" ")}\n${stdout}${stderr}`).to.equal(0);
  return stdout;
}

/** Hardhat hands its options, our config file among them, to child processes in variables. */
export function outerEnvironment(): NodeJS.ProcessEnv {
  const outer = Object.entries(process.env).filter(([name]) => !/^(?:HARDHAT|HH|FOUNDRY)_/.test(name));
  return {
    ...Object.fromEntries(outer),
    HARDHAT_DISABLE_TELEMETRY: "true",
    NODE_ENV: undefined,
    NO_COLOR: "1",
    FORCE_COLOR: undefined,
  };
}

/** The TypeScript blocks of a Markdown page. */
export function examplesOf(page: string): string[] {
  return [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);
}
