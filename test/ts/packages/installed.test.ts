import { spawnSync } from "node:child_process";
import { expect } from "chai";
import { commandOf } from "../../../scripts/support/paths.ts";
import {
  examplesOf,
  install,
  newest,
  npm,
  openWorkshop,
  outerEnvironment,
  run,
  type Workshop,
} from "../../support/packages/project.ts";
import { type PackageManifest, readJson } from "../../support/repository/files.ts";

const { peerDependencies = {} } = readJson<PackageManifest>("package.json");
const oldestViem = peerDependencies.viem?.replace("^", "") ?? "";

// Real installations of the packed toolkit, each with only the packages of its title.
describe("the README's sample in an empty project", function () {
  this.timeout(5 * 60_000);
  let workshop: Workshop;
  before(() => {
    workshop = openWorkshop();
  });
  after(() => workshop.remove());
  let withoutPeers = "";

  for (const [title, packages] of [
    [`viem ${oldestViem}`, [`viem@${oldestViem}`]],
    [`viem ${newest.viem}`, [`viem@${newest.viem}`]],
    ["@phala/cloud", [`viem@${newest.viem}`, `@phala/cloud@${newest["@phala/cloud"]}`]],
  ] as const)
    it(`compiles beside ${title}`, () => {
      const [sample = ""] = examplesOf("README.md");
      const project = workshop.create(title.replaceAll(/\W/g, "-"), {
        "package.json": '{ "private": true, "type": "module" }',
        "sample.ts": `${packages.some((name) => name.startsWith("@phala")) ? 'export * as phala from "@phala/cloud";\n' : ""}${sample}`,
        "tsconfig.json": JSON.stringify({
          compilerOptions: {
            target: "es2023",
            lib: ["es2023", "dom"],
            module: "nodenext",
            strict: true,
            noEmit: true,
            skipLibCheck: true,
            types: ["node"],
          },
        }),
      });
      install(project, workshop.tarball, ...packages, `@types/node@${newest["@types/node"]}`);
      run(project, [process.execPath, commandOf("typescript", "tsc"), "-p", "."]);
      withoutPeers = project;
    });

  it("runs npx dstack-toolkit mock-cloud", () => {
    const npx = (...args: readonly string[]) => npm(withoutPeers, "exec", "--no", "--", "dstack-toolkit", ...args);
    expect(npx("--version").trim()).to.equal(readJson<{ version: string }>("package.json").version);
    expect(npx("mock-cloud", "--help")).to.match(/^Usage: dstack-toolkit mock-cloud /);
  });

  for (const [entry, peer] of [
    ["world", "hardhat"],
    ["typechain", "ethers"],
    ["ignition/dstack-kms", "@nomicfoundation/hardhat-ignition"],
  ])
    it(`says to install ${peer} when dstack-toolkit/${entry} is imported without it`, () => {
      const code = `import("dstack-toolkit/${entry}").catch((error) => console.log(error.code, error.message, error.nextStep))`;
      expect(run(withoutPeers, [process.execPath, "-e", code])).to.equal(
        `DSTK-1401 dstack-toolkit/${entry} needs the package ${peer}, which is not installed. Install it: npm install -D ${peer}\n`,
      );
    });

  it("can import every other entry point without an optional peer", () => {
    for (const entry of [
      "",
      "/abi",
      "/chain",
      "/cloud",
      "/update",
      "/batch",
      "/history",
      "/prune",
      "/mock-cloud",
      "/testing",
    ]) {
      const { status, stderr } = spawnSync(process.execPath, ["-e", `import("dstack-toolkit${entry}")`], {
        cwd: withoutPeers,
        env: outerEnvironment(),
        encoding: "utf8",
      });
      expect([status, stderr], entry).to.deep.equal([0, ""]);
    }
  });

  // The oldest Node with a database inside still calls it experimental, in every process that loads it.
  it("prints no warning on Node 22", () => {
    const os = process.platform === "win32" ? "win" : process.platform;
    const packageOfNode = `--package=node-${os}-${process.arch}@22`;
    const node22 = npm(withoutPeers, "exec", "--yes", packageOfNode, "--", "node", "-p", "process.execPath").trim();
    const program = `
      const { openHistoryStore } = await import("dstack-toolkit/history");
      const { startMockCloud } = await import("dstack-toolkit/mock-cloud");
      (await openHistoryStore(":memory:")).close();
      await (await startMockCloud({ workspaces: [{ name: "mine", apiKeys: [{ key: "phak_local" }] }] })).close();
      console.log(process.versions.node);`;
    const { stdout, stderr } = spawnSync(node22, ["--input-type=module", "-e", program], {
      cwd: withoutPeers,
      env: outerEnvironment(),
      encoding: "utf8",
    });
    expect(stderr).to.equal("");
    expect(stdout).to.match(/^22\./);
  });
});
