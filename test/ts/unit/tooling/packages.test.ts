import { expect } from "chai";
import { installFlags } from "../../../../scripts/npm.mjs";
import { type PackageManifest, readJson, readText, repositoryFiles } from "../../../support/repository/files.ts";

interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

const manifest = readJson<PackageManifest>("package.json");
const lock = readJson<Lock>("package-lock.json").packages;

describe("package-lock.json", () => {
  // A lock made where a registry lacks some platforms omits them, and `npm ci` then fails on every platform.
  it("has an entry for each optional dependency of each platform", () => {
    const missing = Object.entries(lock).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !isLocked(path, name)),
    );
    expect(missing).to.deep.equal([]);
  });

  it("names no registry", () => {
    expect(readText("package-lock.json")).to.not.match(/"resolved"/);
    expect(readText(".npmrc")).to.include("omit-lockfile-registry-resolved=true");
  });

  it("agrees with package.json", () => {
    const { dependencies, devDependencies, peerDependencies } = lock[""] ?? {};
    expect({ dependencies, devDependencies, peerDependencies }).to.deep.equal({
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
      peerDependencies: manifest.peerDependencies,
    });
  });

  /** Node's own search: beside the package, then in every folder above it. */
  function isLocked(from: string, name: string): boolean {
    const above = from.lastIndexOf("node_modules/");
    const here = from === "" ? `node_modules/${name}` : `${from}/node_modules/${name}`;
    if (here in lock) return true;
    return from !== "" && isLocked(from.slice(0, Math.max(above - 1, 0)), name);
  }
});

describe("every lock file", () => {
  const locks = repositoryFiles().filter((path) => /(?:^|\/)package-lock\.json$/.test(path));

  it("is in this list", () => {
    expect(locks).to.have.members([
      "package-lock.json",
      "scripts/pins/anvil/package-lock.json",
      "scripts/pins/forge/package-lock.json",
      "scripts/pins/node/package-lock.json",
      "test/clients/pins/npm/package-lock.json",
    ]);
  });

  for (const path of locks)
    it(`has the checksum of every package, and names no registry: ${path}`, () => {
      const entries = Object.entries(readJson<Lock>(path).packages).filter(([name]) => name !== "");
      const unverified = entries.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ""));
      expect(unverified.map(([name]) => name)).to.deep.equal([]);
      expect(readText(path)).to.not.match(/"resolved"/);
      expect(entries.length).to.be.greaterThan(4);
    });

  it("of a program pins one exact version for each platform, new enough where it is Node", () => {
    for (const name of ["anvil", "forge", "node"]) {
      const { optionalDependencies = {} } = readJson<LockEntry>(`scripts/pins/${name}/package.json`);
      const { "": root, ...packages } = readJson<Lock>(`scripts/pins/${name}/package-lock.json`).packages;
      expect(root?.optionalDependencies).to.deep.equal(optionalDependencies);
      const locked = Object.entries(packages).map(([path, { version }]) => [
        path.replace("node_modules/", ""),
        version,
      ]);
      expect(Object.fromEntries(locked)).to.deep.equal(optionalDependencies);
      for (const version of Object.values(optionalDependencies)) {
        expect(version).to.match(name === "node" ? /^(?:22\.(?:1[3-9]|[2-9]\d)|2[4-9]\.\d+)\.\d+$/ : /^\d+\.\d+\.\d+$/);
      }
    }
  });

  it("is installed without running a script of a package", () => {
    expect(readText(".npmrc")).to.match(/^ignore-scripts=true$/m);
    expect(installFlags).to.include("--ignore-scripts");
    const unflagged = repositoryFiles()
      .filter((path) => /\.(?:mjs|ts)$/.test(path))
      .flatMap((path) =>
        [...readText(path).matchAll(/npmCommand\(\[\s*"(?:ci|install|exec)"[^\]]*\]/g)].map(([call]) => call),
      )
      .filter((call) => !call.includes("...installFlags"));
    expect(unflagged).to.deep.equal([]);
  });
});

describe("package.json", () => {
  it("pins exact versions", () => {
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).to.deep.equal([]);
  });

  it("lists only dependencies that are used", () => {
    // Every file that can use a package.
    const users = repositoryFiles()
      .filter((path) => /\.(?:[cm]?[jt]s|sol|json)$|^scripts\/solc$/.test(path))
      .filter((path) => !/^package(?:-lock)?\.json$/.test(path))
      .map(readText)
      .join("\n");
    // Used without an import: `commandOf` in scripts names the other tools.
    const needed = new Map([
      ["tsx", "node_modules by scripts/run.mjs"],
      ["@types/node", "tsconfig.json types"],
      ["@types/mocha", "tsconfig.json types"],
      ["@types/chai", "the types of chai"],
      ["@types/cli-progress", "the types of cli-progress"],
    ]);
    const unused = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      (name) => !needed.has(name) && !new RegExp(`["']${name}["'/]`).test(users) && !isPeerOfAnother(name),
    );
    expect(unused).to.deep.equal([]);
  });

  it("names only scripts that exist", () => {
    const files = repositoryFiles();
    const missing = Object.entries(manifest.scripts).flatMap(([name, command]) =>
      (command.match(/\b(?:scripts|bench)\/[\w./-]+/g) ?? [])
        .filter((path) => !files.includes(path))
        .map((path) => `${name}: ${path}`),
    );
    expect(missing).to.deep.equal([]);
  });

  /** Installed because another dependency has it as a peer. */
  function isPeerOfAnother(name: string): boolean {
    return Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).some(
      (other) => name in (lock[`node_modules/${other}`]?.peerDependencies ?? {}),
    );
  }
});
