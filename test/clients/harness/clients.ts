import { join } from "node:path";
import { root } from "../../../scripts/support/paths.ts";
import { buildGoProgram, hasGo } from "../install/go-program.ts";
import { installNpmClients } from "../install/npm-clients.ts";
import { findPython, installPythonPackage } from "../install/python-package.ts";
import { nodeEnvironment } from "./cli.ts";
import type { StartDriverParameters } from "./driver.ts";

const officialClients = ["cli", "js", "js-2025-10-28", "python-0.2.0", "python-0.1.1"] as const;
/** Programs of ours that send a client's requests because the client itself cannot be installed. Counted apart. */
const requestShapes = ["go-shapes"] as const;
export const clientNames = [...officialClients, ...requestShapes] as const;
export type ClientName = (typeof clientNames)[number];

export function isRequestShape(name: ClientName): boolean {
  return requestShapes.some((shape) => shape === name);
}

/** The columns of the table. */
export const clientTitles: Readonly<Record<ClientName, string>> = {
  cli: "CLI (npm phala 1.1.18)",
  js: "JS SDK (npm @phala/cloud 0.2.9)",
  "js-2025-10-28": "JS SDK 0.2.9, set to API version 2025-10-28",
  "python-0.2.0": "Python SDK (PyPI phala-cloud 0.2.0)",
  "python-0.1.1": "Python SDK (PyPI phala-cloud 0.1.1)",
  "go-shapes": "Go request shapes (our program, not the Go SDK)",
};

export type InstalledClient =
  | { readonly kind: "cli"; readonly clients: string }
  | {
      readonly kind: "sdk";
      readonly driver: StartDriverParameters;
      /** The API version it is set to. @default its own default */
      readonly version?: string;
    };

export interface Installation {
  readonly installed: ReadonlyMap<ClientName, InstalledClient>;
  /** The clients that can't run on this machine, and why. */
  readonly leftOut: ReadonlyMap<ClientName, string>;
  /** Folders of the installed packages, to look up a line named as evidence. */
  readonly folders: ReadonlyMap<ClientName, string>;
  readonly python: string | undefined;
}

const pythonVersions = ["0.2.0", "0.1.1"] as const;
const drivers = join(root, "test", "clients", "drivers");

/** Installs every client this machine can run. */
export async function installClients(): Promise<Installation> {
  const installed = new Map<ClientName, InstalledClient>();
  const leftOut = new Map<ClientName, string>();
  const folders = new Map<ClientName, string>();

  const findAndInstallPython = async () => {
    const python = await findPython();
    const install = async (version: (typeof pythonVersions)[number]) =>
      [version, python ? await installPythonPackage(python, `phala-cloud-${version}`) : undefined] as const;
    return { python, packages: await Promise.all(pythonVersions.map(install)) };
  };
  // At the same time, because an installation often waits for the network and the disk.
  const [npm, { python, packages }, goShapes] = await Promise.all([
    installNpmClients(),
    findAndInstallPython(),
    hasGo().then((isThere) => (isThere ? buildGoProgram("go-shapes") : undefined)),
  ]);

  const args = [join(drivers, "phala-cloud.mjs"), npm];
  const js: InstalledClient = {
    kind: "sdk",
    driver: { command: process.execPath, args, env: nodeEnvironment() },
  };
  installed.set("cli", { kind: "cli", clients: npm });
  folders.set("cli", join(npm, "node_modules", "phala"));
  installed.set("js", js);
  installed.set("js-2025-10-28", { ...js, version: "2025-10-28" });
  for (const name of ["js", "js-2025-10-28"] as const) folders.set(name, join(npm, "node_modules", "@phala", "cloud"));

  for (const [version, installation] of packages) {
    const name: ClientName = `python-${version}`;
    if (installation === undefined) {
      leftOut.set(name, "there is no Python 3.11 or newer");
      continue;
    }
    const driver = {
      command: installation.python,
      args: [join(drivers, "phala_cloud_driver.py")],
      env: process.env,
    };
    installed.set(name, { kind: "sdk", driver });
    folders.set(name, join(installation.sitePackages, "phala_cloud"));
  }

  if (goShapes === undefined) leftOut.set("go-shapes", "there is no Go");
  else installed.set("go-shapes", { kind: "sdk", driver: { command: goShapes, args: [], env: process.env } });
  return { installed, leftOut, folders, python };
}
