import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startFaultServer } from "../chain/fault-server.ts";

const name = "a-node";
const entry = { os: [process.platform], cpu: [process.arch], bin: { node: "bin/node" } };

export interface Registry {
  readonly url: string;
  /** The integrity of version 1.0.0 as it was published. */
  readonly integrity: string;
  /** The versions whose archives were fetched, in order. */
  readonly archives: readonly string[];
  close(): Promise<void>;
}

/**
 * A package registry of one package, `a-node`, in versions 1.0.0 and 2.0.0. Its command says its version and what it was
 * given; its install script leaves a file behind.
 *
 * @param tamper what is sent instead of the archive that was published
 */
export async function startRegistry(parameters: {
  readonly marker: string;
  readonly tamper: (archive: Buffer) => Buffer;
}): Promise<Registry> {
  const archives: string[] = [];
  const published = new Map(["1.0.0", "2.0.0"].map((version) => [version, pack(version, parameters.marker)]));
  const server = await startFaultServer((request, response) => {
    const [, version] = /^\/archives\/(.+)\.tgz$/.exec(request.url ?? "") ?? [];
    const archive = version === undefined ? undefined : published.get(version);
    if (version !== undefined && archive !== undefined) {
      archives.push(version);
      response.end(parameters.tamper(archive));
    } else if (request.url === `/${name}`) {
      const versions = Object.fromEntries(
        [...published].map(([version, bytes]) => [version, describe(version, bytes)]),
      );
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ name, "dist-tags": { latest: "2.0.0" }, versions }));
    } else {
      response.writeHead(404).end("{}");
    }
  });
  const url = `http://127.0.0.1:${server.port}`;
  const describe = (version: string, archive: Buffer) => ({
    name,
    version,
    ...entry,
    hasInstallScript: true,
    dist: { tarball: `${url}/archives/${version}.tgz`, integrity: integrityOf(archive) },
  });
  return {
    url: `${url}/`,
    integrity: integrityOf(published.get("1.0.0") ?? Buffer.of()),
    archives,
    close: () => server.close(),
  };
}

/** The two files of `scripts/pins/node`, for `a-node` alone. */
export function pinnedNode({ version, integrity }: { readonly version: string; readonly integrity: string }) {
  const optionalDependencies = { [name]: version };
  const packages = {
    "": { name: "pinned-node", optionalDependencies },
    [`node_modules/${name}`]: { version, integrity, optional: true, hasInstallScript: true, ...entry },
  };
  return {
    manifest: JSON.stringify({ name: "pinned-node", private: true, optionalDependencies }),
    lock: JSON.stringify({ name: "pinned-node", lockfileVersion: 3, requires: true, packages }),
  };
}

/** Where scripts/npm.mjs keeps what a lock pins. */
export function folderOf(lock: string): string {
  return `pinned-node-${createHash("sha256").update(lock).digest("hex").slice(0, 16)}`;
}

function pack(version: string, marker: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "a-node-"));
  try {
    mkdirSync(join(folder, "package", "bin"), { recursive: true });
    const scripts = { install: `node -e "require('fs').writeFileSync('${marker}', '')"` };
    writeFileSync(join(folder, "package", "package.json"), JSON.stringify({ name, version, ...entry, scripts }));
    const program = `#!/bin/sh\necho "this is ${name} ${version}: $*"\n`;
    writeFileSync(join(folder, "package", "bin", "node"), program, { mode: 0o755 });
    const { status, stderr } = spawnSync("tar", ["-czf", "archive.tgz", "package"], { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return readFileSync(join(folder, "archive.tgz"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function integrityOf(archive: Buffer): string {
  return `sha512-${createHash("sha512").update(archive).digest("base64")}`;
}
