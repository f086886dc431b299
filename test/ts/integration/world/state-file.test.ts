import { appendFileSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { startWorld } from "../../../../src/world/start-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("the state file of a world", () => {
  const directory = useTemporaryDirectory();
  const start = () => startWorld({ stateFile: `${directory.path}/world.db`, cloud: { rolloverMs: 0 } });
  const worldFile = () => `${directory.path}/world.db.world`;

  it("is created in a new folder, with a key that only its owner can read", async () => {
    const stateFile = `${directory.path}/a/b/world.db`;
    const world = await startWorld({ stateFile, cvms: false });
    await world.close();
    expect(statSync(`${stateFile}.world`).mode & 0o777).to.equal(process.platform === "win32" ? 0o666 : 0o600);
  });

  it("loses at most an incomplete last line", async () => {
    const first = await start();
    const head = await first.chain.client.getBlock();
    await first.close();
    const length = readFileSync(worldFile()).length;
    appendFileSync(worldFile(), '{"type":"request","method":"evm_m');

    const second = await start();
    expect(await second.chain.client.getBlock()).to.deep.equal(head);
    expect(readFileSync(worldFile()).length).to.equal(length);
    await second.close();
  });

  it("may have an incomplete first line", async () => {
    writeFileSync(worldFile(), '{"type":"wor');
    await (await start()).close();
    await (await start()).close();
  });

  it("creates the CVMs that an interrupted start did not create", async () => {
    const first = await start();
    await first.close();
    const lines = readFileSync(worldFile(), "utf8").split("\n");
    writeFileSync(worldFile(), lines.filter((line) => !line.includes('"seeded"')).join("\n"));
    const deployed = lines.filter((line) => line.includes("hardhat_setCode") || line.includes("eth_send")).length;

    const second = await start();
    expect(second.cvms).to.deep.equal(first.cvms);
    await second.close();
    // Both exist, so nothing is deployed again.
    const after = readFileSync(worldFile(), "utf8").split("\n");
    expect(after.filter((line) => line.includes("hardhat_setCode") || line.includes("eth_send")).length).to.equal(
      deployed,
    );
  });

  it("starts again with replicas, which have the name of their original", async () => {
    const first = await start();
    const headers = { "x-api-key": first.apiKey };
    for (const name of ["onchain-app", "offchain-app"]) {
      const path = `${first.cloud.baseUrl}/cvms/${name}/replicas`;
      expect((await fetch(path, { method: "POST", headers })).status).to.be.oneOf([200, 465]);
    }
    await first.cloud.whenIdle();
    await first.close();

    const second = await start();
    expect(second.cvms).to.deep.equal(first.cvms);
    await second.close();
  });

  it("does not restore a deleted CVM", async () => {
    const first = await start();
    const headers = { "x-api-key": first.apiKey };
    const { ok } = await fetch(`${first.cloud.baseUrl}/cvms/offchain-app`, { method: "DELETE", headers });
    expect(ok).to.equal(true);
    await first.close();

    const second = await start();
    expect(Object.keys(second.cvms)).to.deep.equal(["onChain"]);
    await second.close();
  });

  describe("is refused", () => {
    beforeEach(async () => (await start()).close());

    for (const [what, damage] of [
      ["with a line that is not its own", () => appendFileSync(worldFile(), '{"type":"surprise"}\n')],
      ["with a line that is not JSON", () => appendFileSync(worldFile(), "surprise\n")],
      ["without its world file", () => rmSync(worldFile())],
      ["without its database", () => renameSync(`${directory.path}/world.db`, `${directory.path}/other.db`)],
    ] as const) {
      it(`${what}, and not changed`, async () => {
        damage();
        const before = whatIs(worldFile());
        const error = await catchError(start(), InvalidArgumentError);
        expect(error.nextStep).to.be.a("string");
        expect(whatIs(worldFile())).to.equal(before);
      });
    }
  });
});

function whatIs(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
