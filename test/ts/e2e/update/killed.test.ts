import { spawn } from "node:child_process";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { type Hex, pad, parseEther } from "viem";
import { generatePrivateKey, privateKeyToAddress } from "viem/accounts";
import { getTransactionCount } from "viem/actions";
import type { CrashPoint } from "../../../support/ledger/crashing-ledger.ts";
import { apiKey, type TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import type { UpdateProcessSettings } from "../../../support/update/update-process.ts";
import {
  createCvm,
  disallowDevice,
  readAppHistory,
  startUpdateWorld,
  type UpdateWorld,
} from "../../../support/update/update-world.ts";

const program = fileURLToPath(new URL("../../../support/update/update-process.ts", import.meta.url));
// Where OpenZeppelin's upgradeable Ownable keeps the owner (ERC-7201).
const ownerSlot = "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300";

describe("an update whose process is killed", () => {
  const directory = useTemporaryDirectory();
  let world: UpdateWorld;
  before(async () => {
    world = await startUpdateWorld();
  });
  after(() => world.close());

  /** A CVM that needs its device allowed, owned by a key of its own. */
  async function freshCvm(): Promise<{ cvm: TestCvm; privateKey: Hex; owner: Hex }> {
    const cvm = await createCvm(world);
    await disallowDevice(world, cvm);
    const privateKey = generatePrivateKey();
    const owner = privateKeyToAddress(privateKey);
    const { provider, viem } = world.connection;
    await (await viem.getTestClient()).setBalance({ address: owner, value: parseEther("1") });
    await provider.request({ method: "hardhat_setStorageAt", params: [cvm.appId, ownerSlot, pad(owner)] });
    return { cvm, privateKey, owner };
  }

  async function run(cvm: TestCvm, privateKey: Hex, killAt?: CrashPoint) {
    const settings: UpdateProcessSettings = {
      ledgerPath: join(directory.path, "ledger.sqlite"),
      baseUrl: world.cloud.baseUrl,
      apiKey,
      rpcUrl: world.rpc.url,
      privateKey,
      cvm: cvm.id,
      dockerCompose: "services:\n  app:\n    image: nginx:2\n",
      killAt,
    };
    const child = spawn(process.execPath, ["--import", "tsx", program], { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.end(JSON.stringify(settings));
    const output = json(child.stdout).catch(() => undefined);
    const signal = await new Promise((resolve) => child.once("exit", (_, by) => resolve(by)));
    return { signal, result: await output };
  }

  const points: readonly [string, CrashPoint][] = [
    ["with a signed transaction on record that never left", { write: 4, when: "after" }],
    ["with a transaction mined that is recorded as signed only", { write: 5, when: "before" }],
    ["with a transaction mined and not yet seen mined", { write: 7, when: "before" }],
    ["with a confirmation that the cloud has accepted", { write: 9, when: "before" }],
  ];
  for (const [name, killAt] of points) {
    it(`${name}, ends in one confirmed update when it is started again`, async () => {
      const { cvm, privateKey, owner } = await freshCvm();
      expect((await run(cvm, privateKey, killAt)).signal).to.equal("SIGKILL");

      const { signal, result } = await run(cvm, privateKey);
      expect(signal).to.equal(null);
      expect(result).to.include({ outcome: "updated", isResumed: true });
      expect(await getTransactionCount(world.dstack.client, { address: owner })).to.equal(2);
      expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
      const operations = world.cloud.readHistory(cvm.id).filter(({ kind }) => kind === "update");
      expect(operations.map(({ state }) => state)).to.deep.equal(["done"]);
    });
  }
});
