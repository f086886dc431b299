import { expect } from "chai";
import { type PackageManifest, readJson, readText } from "../../../support/repository/files.ts";

interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const manifest = readJson<PackageManifest>("package.json");
const lock = readJson<{ packages: Readonly<Record<string, LockEntry>> }>("package-lock.json").packages;

describe("package-lock.json", () => {
  // A lock made where a registry lacks some platforms omits them, and `npm ci` then fails on every platform.
  it("has an entry for every optional dependency, whatever the platform it was made on", () => {
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

describe("package.json", () => {
  it("pins exact versions", () => {
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).to.deep.equal([]);
  });
});
