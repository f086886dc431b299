import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import hardhatLedger from "@nomicfoundation/hardhat-ledger";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, type Hex, keccak256, parseAbi, zeroAddress } from "viem";
import { readContract, sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { buildSafeTx, hashSafeTx, type SafeTx } from "../../../../src/core/safe.ts";
import { encodeExecTransaction } from "../../../../src/core/safe-calldata.ts";
import { encodeSafeSignatures } from "../../../../src/core/safe-signing.ts";
import { readSafe, type SafeAccount } from "../../../../src/governance/safe-account.ts";
import { loadProposal, saveProposal } from "../../../../src/governance/safe-proposal.ts";
import { signerOfAccount, signSafeTransaction } from "../../../../src/governance/safe-sign.ts";
import dstack from "../../../../src/hardhat/index.ts";
import { devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { plugInLedger } from "../../../support/safe/ledger-device.ts";
import { addSafe, giveAppToSafe, type TestSafe } from "../../../support/safe/safe-world.ts";
import { type SafeService, startSafeService } from "../../../support/safe/service.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const listed = parseComposeHash("a1".repeat(32));
const added = parseComposeHash("a2".repeat(32));
const other = parseComposeHash("a3".repeat(32));
const hashes = parseAbi([
  "function domainSeparator() view returns (bytes32)",
  "function getTransactionHash(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce) view returns (bytes32)",
]);

describe("dstack safe, for an app of a 2-of-3 Safe", () => {
  const directory = useTemporaryDirectory();
  let world: World;
  let appId: AppId;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    if (world.cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = world.cvms.onChain.appId;
  });
  after(() => world?.close());

  for (const version of ["1.4.1", "1.5.0"] as const) {
    describe(`of version ${version}`, () => {
      let atStart: string;
      let untouched: string;
      let test: TestSafe;
      let account: SafeAccount;
      let plan: string;
      let service: SafeService;
      /** The projects of the three owners, and of somebody who only pays. */
      let owners: readonly HardhatRuntimeEnvironment[];
      let payer: HardhatRuntimeEnvironment;

      before(async () => {
        atStart = await world.snapshot();
        test = await addSafe(world, version);
        await giveAppToSafe(world, test, appId);
        const [first, second] = test.owners;
        const before = await readSafe(world.ownerClient, { safe: test.safe });
        const safeTx = buildSafeTx({
          ...{
            calls: [addComposeHashCall({ appId, composeHash: listed })],
            multiSend: zeroAddress,
            nonce: before.nonce,
          },
        });
        await executeDirectly(safeTx, [first, second]);
        const project = (index: number) => projectOf(world, { ownerKey: devPrivateKey(index), apps: { shop: appId } });
        owners = await Promise.all([1, 2, 3].map(project));
        payer = await project(7);
        untouched = await world.snapshot();
      });
      beforeEach(async () => {
        account = await readSafe(world.ownerClient, { safe: test.safe });
        plan = join(directory.path, "plan.json");
        service = await startSafeService({ rpcUrl: world.chain.rpcUrl });
        await ok(owners[0], ["hash", "add"], { hashes: [added], remove: listed, plan });
      });
      afterEach(async () => {
        await service.close();
        await world.restore(untouched);
      });
      after(() => world.restore(atStart));

      /** Of what does not depend on the version of the Safe. */
      const once = (title: string, test: () => Promise<void>) => void (version === "1.4.1" && it(title, test));
      const file = (name: string) => join(directory.path, name);
      const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });
      const isAllowed = async (composeHash: Hex) =>
        (await readAllowlist(world.ownerClient, { appId, composeHash: parseComposeHash(composeHash) }))
          .composeHashAllowed;
      const run = (project: HardhatRuntimeEnvironment | undefined, task: readonly string[], args: object = {}) => {
        if (project === undefined) throw new Error("There is no such project.");
        return runTask(project, task, { json: true, ...args });
      };
      const safe = (project: HardhatRuntimeEnvironment | undefined, task: string, args: object = {}) =>
        run(project, ["safe", task], {
          file: plan,
          ...(task !== "verify" && task !== "list" && { yes: true }),
          ...args,
        });
      async function ok<Result>(
        project: HardhatRuntimeEnvironment | undefined,
        task: readonly string[],
        args: object = {},
      ): Promise<Result> {
        const outcome = await (task[0] === "safe" ? safe(project, task[1] ?? "", args) : run(project, task, args));
        expect(outcome.exitCode, outcome.stderr + outcome.stdout).to.equal(0);
        return outcome.json<Result>();
      }
      /** The error of a task that must have sent nothing. */
      async function refusal(running: Promise<TaskRun>): Promise<Record<string, unknown>> {
        const block = await head();
        const outcome = await running;
        expect(outcome.exitCode, outcome.stdout).to.not.equal(0);
        expect(await head(), "something was sent").to.equal(block);
        return outcome.json<{ error: Record<string, unknown> }>().error;
      }
      const viaService = () => ({ service: service.url });

      /** As owners do it with other tools. */
      async function executeDirectly(safeTx: SafeTx, signers: TestSafe["owners"][number][]): Promise<boolean> {
        const now = await readSafe(world.ownerClient, { safe: test.safe });
        const signatures = await Promise.all(
          signers.map((by) => signSafeTransaction(signerOfAccount(world.ownerClient, by), { account: now, safeTx })),
        );
        const data = encodeExecTransaction(safeTx, encodeSafeSignatures(signatures));
        const hash = await sendTransaction(world.ownerClient, {
          ...{ account: world.owner, chain: world.ownerClient.chain, to: test.safe, data, gas: 900_000n },
        });
        return (await waitForTransactionReceipt(world.ownerClient, { hash })).status === "success";
      }

      it("passes files: two owners sign, anyone executes, and the execution is proven", async () => {
        interface Proposed {
          readonly safeTx: Record<string, string>;
          readonly domainHash: Hex;
          readonly safeTxHash: Hex;
          readonly proposalFile: string;
          readonly builderFile: string;
        }
        const proposed = await ok<Proposed>(owners[0], ["safe", "propose"]);
        const { safeTx } = await loadProposal(proposed.proposalFile);
        const { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce } = safeTx;
        const args = [
          to,
          value,
          data,
          operation,
          safeTxGas,
          baseGas,
          gasPrice,
          gasToken,
          refundReceiver,
          nonce,
        ] as const;
        const ask = { address: test.safe, abi: hashes } as const;
        const own = await readContract(world.ownerClient, { ...ask, functionName: "getTransactionHash", args });
        const domain = await readContract(world.ownerClient, { ...ask, functionName: "domainSeparator" });
        expect([proposed.safeTxHash, proposed.domainHash]).to.deep.equal([own, domain]);
        const builder = JSON.parse(await readFile(proposed.builderFile, "utf8"));
        expect(builder.transactions.map((one: { data: Hex }) => one.data)).to.deep.equal([
          addComposeHashCall({ appId, composeHash: added }).data,
          removeComposeHashCall({ appId, composeHash: listed }).data,
        ]);
        // Each owner has a copy of the file, and only the one who executes sees both signatures.
        for (const index of [0, 2]) {
          const copy = file(`of-${index}.json`);
          await copyFile(proposed.proposalFile, copy);
          const signed = await ok<{ confirmedBy: Address[] }>(owners[index], ["safe", "sign"], { proposal: copy });
          expect(signed.confirmedBy).to.deep.equal([test.owners[index === 0 ? 0 : 2].address]);
        }
        const proposal = `${file("of-0.json")}, ${file("of-2.json")}`;
        const executed = await ok<{ safeTxHash: Hex; transactionHash: Hex }>(payer, ["safe", "execute"], { proposal });
        expect(executed.safeTxHash).to.equal(own);
        expect([await isAllowed(added), await isAllowed(listed)]).to.deep.equal([true, false]);
        const verified = await ok<object>(payer, ["safe", "verify"]);
        const { transactionHash } = executed;
        expect(verified).to.include({ outcome: "proven", transactionHash, safeTxHash: own, isProposed: true });
        expect(await ok<object>(payer, ["safe", "verify"], { transactionHash })).to.include({ safeTxHash: own });
        // Again changes and costs nothing.
        const block = await head();
        for (const task of ["propose", "sign", "execute"])
          expect(await ok<object>(owners[1], ["safe", task], { proposal }), task).to.deep.include({
            ...{ outcome: "applied", appliedBy: [transactionHash] },
          });
        expect(await head()).to.equal(block);
        await executeDirectly(
          buildSafeTx({
            ...{ calls: [removeComposeHashCall({ appId, composeHash: added })], multiSend: zeroAddress },
            nonce: account.nonce + 1n,
          }),
          [test.owners[0], test.owners[1]],
        );
        const checked = (await run(payer, ["plan", "check"], { file: plan })).json<{ undone: string[] }>();
        expect(checked.undone).to.have.lengthOf(1);
        for (const [task, args] of [
          ["execute", { proposal }],
          ["verify", { proposal }],
          ["verify", { transactionHash }],
          ["list", { ...viaService() }],
        ] as const) {
          expect(await ok<object>(payer, ["safe", task], args), task).to.deep.include({ undone: checked.undone });
          const told = (await safe(payer, task, { ...args, json: false })).stdout.replace(/\n +/g, " ");
          expect(told).to.include("But not everything is still as the plan made it:").and.include(checked.undone[0]);
        }
      });

      once("shows signers the calls in words and the hashes as hardware wallets print them", async () => {
        const proposed = await ok<{ domainHash: Hex; messageHash: Hex; safeTxHash: Hex }>(owners[0], [
          "safe",
          "propose",
        ]);
        const { stdout } = await safe(owners[1], "sign", { json: false });
        const upper = (hash: Hex) => `0x${hash.slice(2).toUpperCase()}`;
        for (const line of [
          `Domain hash: ${upper(proposed.domainHash)}`,
          `Message hash: ${upper(proposed.messageHash)}`,
          `Safe transaction hash: ${proposed.safeTxHash}`,
          `allow compose hash ${added}`,
          `remove compose hash ${listed}`,
        ])
          expect(stdout).to.include(line);
      });

      it("uses a service: what was proposed is listed, signed, executed and known to the service", async () => {
        const proposed = await ok<{ safeTxHash: Hex }>(owners[0], ["safe", "propose"], viaService());
        interface Listed {
          readonly transactions: readonly {
            readonly safeTxHash: Hex;
            readonly state: string;
            readonly isPlan: boolean;
            readonly confirmedBy: readonly Address[];
            readonly calls: readonly { readonly description: string }[];
          }[];
        }
        const list = async () => (await ok<Listed>(owners[2], ["safe", "list"], viaService())).transactions;
        const [queued] = await list();
        const ofApp = await ok<Listed>(owners[2], ["safe", "list"], { ...viaService(), file: "", app: "shop" });
        expect(ofApp.transactions.map(({ calls, isPlan }) => [calls, isPlan])).to.deep.equal([[queued?.calls, null]]);
        expect(queued).to.deep.include({
          safeTxHash: proposed.safeTxHash,
          state: "waits for signatures",
          isPlan: true,
        });
        expect(queued?.calls.map(({ description }) => description)).to.deep.equal([
          `allow compose hash ${added}`,
          `remove compose hash ${listed}`,
        ]);
        // The second owner has the plan, but no file of the proposal.
        const proposal = { ...viaService(), file: file("copy.json") };
        await copyFile(plan, proposal.file);
        await ok(owners[1], ["safe", "sign"], proposal);
        expect((await list())[0]).to.include({ state: "can be executed" });
        const executed = await ok<object>(payer, ["safe", "execute"], proposal);
        expect(executed).to.include({ outcome: "executed", safeTxHash: proposed.safeTxHash });
        expect(await list()).to.deep.equal([]);
        expect(await isAllowed(added)).to.equal(true);
        const shown = await fetch(`${service.url}/v2/multisig-transactions/${proposed.safeTxHash}/`);
        expect(await shown.json()).to.include({ isExecuted: true, isSuccessful: true });
      });

      once("takes the nonce after what is queued, names what is executed first, and waits for it", async () => {
        const earlier = await queueOther(account.nonce);
        const proposed = await ok<{ safeTxHash: Hex; safeTx: { nonce: string } }>(
          ...([owners[0], ["safe", "propose"], viaService()] as const),
        );
        expect(proposed.safeTx.nonce).to.equal(`${account.nonce + 1n}`);
        const signing = await safe(owners[1], "sign", viaService());
        expect(signing.stderr).to.include(earlier);
        const error = await refusal(safe(payer, "execute", viaService()));
        expect(error).to.include({ code: "DSTK-2302" });
        expect(error.message).to.include(`is not next: the Safe first executes nonce ${account.nonce}`);
        // With the same nonce it replaces what is queued, if the operator says so.
        const nonce = `${account.nonce}`;
        const rival = await ok<{ safeTx: { nonce: string } }>(owners[2], ["safe", "propose"], {
          ...viaService(),
          nonce,
        });
        expect(rival.safeTx.nonce).to.equal(nonce);
        const ambiguous = await refusal(
          safe(owners[1], "sign", { ...viaService(), proposal: "", file: await copyOf(plan) }),
        );
        expect(ambiguous.message).to.include("several times");
      });

      async function copyOf(path: string): Promise<string> {
        const copy = file(`copy-${keccak256(`0x${Date.now().toString(16).padStart(12, "0")}`).slice(2, 10)}.json`);
        await copyFile(path, copy);
        return copy;
      }

      /** Another proposal of the owners in the service. */
      async function queueOther(nonce: bigint): Promise<Hex> {
        const copy = file("other-plan.json");
        await ok(owners[0], ["hash", "add"], { hashes: [other], plan: copy });
        const { safeTxHash } = await ok<{ safeTxHash: Hex }>(owners[0], ["safe", "propose"], {
          ...{ ...viaService(), file: copy, nonce: `${nonce}` },
        });
        return safeTxHash;
      }

      once("does not sign for a nonce in the future unless the operator names it", async () => {
        const nonce = `${account.nonce + 3n}`;
        const proposal = file("named.json");
        expect(await ok<object>(owners[0], ["safe", "propose"], { nonce, proposal })).to.include({
          proposalFile: proposal,
        });
        const { stdout } = await safe(owners[0], "propose", { nonce, proposal, json: false });
        expect(stdout).to.match(new RegExp(`safe sign .* --nonce ${nonce} --network world`));
        await copyFile(proposal, file("plan.safe.json"));
        const error = await refusal(safe(owners[1], "sign"));
        expect(error).to.include({ code: "DSTK-2302" });
        expect(error.message).to.include(`nothing is known that has nonce ${account.nonce}`);
        await ok(owners[1], ["safe", "sign"], { nonce });
        expect(await refusal(safe(owners[1], "sign", { nonce: `${account.nonce}` }))).to.include({ code: "DSTK-2302" });
      });

      once("executes nothing with too few signatures, and says who can still sign", async () => {
        await ok(owners[0], ["safe", "propose"]);
        await ok(owners[0], ["safe", "sign"]);
        const error = await refusal(safe(payer, "execute"));
        expect(error).to.include({ code: "DSTK-2303" });
        expect(error.message).to.include("has 1 confirmation, 2 needed");
        expect(error.nextStep).to.include(test.owners[1].address).and.to.include(test.owners[2].address);
        expect(await isAllowed(added)).to.equal(false);
      });

      once("lets only an owner sign, and each owner once", async () => {
        await ok(owners[0], ["safe", "propose"]);
        expect(await refusal(safe(payer, "sign"))).to.include({ code: "DSTK-2304" });
        await ok(owners[0], ["safe", "sign"]);
        expect(await ok<object>(owners[0], ["safe", "sign"])).to.include({ outcome: "signed before" });
        expect((await loadProposal(file("plan.safe.json"))).confirmations).to.have.lengthOf(1);
      });

      once(
        "names the next task with the proposal and the service of this one, and signatures that do not count",
        async () => {
          const words = { json: false, proposal: file("passed on.json") };
          const next = (task: string) => `safe ${task} ${plan} --proposal '${words.proposal}' --network world`;
          expect((await safe(owners[0], "propose", words)).stdout).to.include(next("sign"));
          expect((await safe(owners[0], "sign", words)).stdout).to.include(next("sign"));
          expect((await safe(owners[0], "sign", words)).stdout).to.include(next("sign"));
          const good = await loadProposal(words.proposal);
          const [{ address }] = test.owners;
          const forged = { ...good, confirmations: [{ owner: address, signature: `0x${"22".repeat(64)}1b` as const }] };
          await saveProposal(words.proposal, forged);
          const { stdout } = await safe(owners[1], "sign", words);
          expect(stdout).to.include(`not counted: ${address}`).and.to.include(next("sign"));
          expect((await safe(owners[0], "sign", words)).stdout).to.include(next("execute"));
          expect((await safe(owners[0], "sign", words)).stdout).to.include(next("execute"));
          const posted = await safe(owners[0], "propose", { ...viaService(), json: false });
          expect(posted.stdout).to.include(`safe sign ${plan} --service '${service.url}' --network world`);
        },
      );

      once("refuses to sign or execute a transaction that is not exactly the plan's calls", async () => {
        const { proposalFile } = await ok<{ proposalFile: string }>(owners[0], ["safe", "propose"]);
        const good = await loadProposal(proposalFile);
        const call = addComposeHashCall({ appId, composeHash: other });
        const single = buildSafeTx({ calls: [call], multiSend: zeroAddress, nonce: good.safeTx.nonce });
        const wrong: readonly (readonly [Partial<SafeTx>, RegExp])[] = [
          [{ to: test.owners[0].address }, /delegatecall/],
          [{ gasPrice: 1n }, /pays/],
          [{ refundReceiver: test.owners[0].address }, /refund/],
          [{ safeTxGas: 100_000n }, /safeTxGas/],
          [{ value: 1n }, /wei/],
          [single, /makes 1 calls, but 2 are planned|not planned|is planned/],
          [
            {
              to: test.safe,
              operation: 0,
              data: "0x694e80c30000000000000000000000000000000000000000000000000000000000000001",
            },
            /Safe itself/,
          ],
        ];
        for (const [change, words] of wrong) {
          const safeTx = { ...good.safeTx, ...change };
          const safeTxHash = hashSafeTx(safeTx, good);
          const confirmations = await Promise.all(
            test.owners.slice(0, 2).map(async (by) => {
              const entry = await signSafeTransaction(signerOfAccount(world.ownerClient, by), { account, safeTx });
              return { owner: by.address, signature: encodeSafeSignatures([entry]) };
            }),
          );
          await saveProposal(proposalFile, { ...good, safeTx, safeTxHash, confirmations });
          for (const [project, task] of [
            [owners[2], "sign"],
            [payer, "execute"],
          ] as const) {
            const error = await refusal(safe(project, task));
            expect(
              error,
              JSON.stringify(change, (_, value) => `${value}`),
            ).to.include({ code: "DSTK-2301" });
            expect(error.message).to.match(words);
          }
        }
      });

      once("refuses a plan that was overtaken, before anything is signed", async () => {
        await ok(owners[0], ["safe", "propose"]);
        await ok(owners[0], ["safe", "sign"]);
        await ok(owners[1], ["safe", "sign"]);
        // Half of the plan happens by another transaction.
        const safeTx = buildSafeTx({
          ...{
            calls: [removeComposeHashCall({ appId, composeHash: listed })],
            multiSend: zeroAddress,
            nonce: account.nonce,
          },
        });
        expect(await executeDirectly(safeTx, test.owners.slice(0, 2))).to.equal(true);
        for (const task of ["propose", "sign", "execute"]) {
          const error = await refusal(safe(owners[2], task));
          expect(error.message, task).to.include("already so");
        }
        expect((await safe(payer, "verify")).exitCode).to.equal(6);
      });

      it("notices that a failed call used up the nonce, and proposes the plan anew", async () => {
        const first = await ok<{ safeTxHash: Hex; safeTx: { nonce: string } }>(owners[0], ["safe", "propose"]);
        for (const owner of owners.slice(0, 2)) await ok(owner, ["safe", "sign"]);
        // Other tools set safeTxGas. The Safe then mines a transaction whose call fails.
        const failing: SafeTx = {
          ...buildSafeTx({
            calls: [addComposeHashCall({ appId, composeHash: added })],
            multiSend: zeroAddress,
            nonce: account.nonce,
          }),
          ...{ data: "0xdeadbeef", safeTxGas: 50_000n },
        };
        expect(await executeDirectly(failing, test.owners.slice(0, 2)), "mined").to.equal(true);
        const error = await refusal(safe(payer, "execute"));
        expect(error).to.include({ code: "DSTK-2302" });
        expect(error.message).to.include("the call inside failed, so nothing changed");
        const verified = await safe(payer, "verify", { json: false });
        expect(verified.exitCode).to.equal(6);
        expect(verified.stdout).to.include(`npx hardhat dstack safe propose ${plan} --network world`);
        const anew = await safe(owners[0], "propose");
        expect(anew.stderr).to.include("which is used").and.to.include("the call inside failed");
        const second = anew.json<{ safeTxHash: Hex; safeTx: { nonce: string } }>();
        expect(second.safeTx.nonce).to.equal(`${BigInt(first.safeTx.nonce) + 1n}`);
        for (const owner of owners.slice(0, 2)) await ok(owner, ["safe", "sign"]);
        expect(await ok<object>(payer, ["safe", "execute"])).to.include({ safeTxHash: second.safeTxHash });
        expect(await isAllowed(added)).to.equal(true);
      });

      once("stops when the service is down or lies, with nothing signed or sent", async () => {
        await ok(owners[0], ["safe", "propose"], viaService());
        const proposal = await readFile(file("plan.safe.json"), "utf8");
        service.tamper = ({ status, body, method }) => ({
          ...{ status, body: method === "GET" ? tampered(body) : body },
        });
        for (const [project, task] of [
          [owners[1], "sign"],
          [payer, "execute"],
          [owners[1], "propose"],
          [payer, "list"],
        ] as const)
          expect(await refusal(safe(project, task, viaService())), task).to.include({ code: "DSTK-3103" });
        service.tamper = () => ({ status: 422, body: { nonFieldErrors: ["no"] } });
        expect(await refusal(safe(owners[1], "sign", viaService()))).to.include({ code: "DSTK-3102" });
        expect(await readFile(file("plan.safe.json"), "utf8")).to.equal(proposal);
      });

      once("signs with a Ledger, which shows the same two hashes", async () => {
        const proposed = await ok<{ domainHash: Hex; messageHash: Hex }>(owners[0], ["safe", "propose"]);
        const missing = await refusal(safe(owners[1], "sign", { hardwareWallet: true }));
        expect(missing.message).to.include("is not installed");
        const { XDG_CONFIG_HOME } = process.env;
        process.env.XDG_CONFIG_HOME = directory.path; // the plugin keeps the paths of accounts there
        const device = plugInLedger(devPrivateKey(2));
        try {
          const url = world.chain.rpcUrl;
          const accounts = { ledgerAccounts: [`${test.owners[1].address}`] };
          const network = { type: "http" as const, chainId: world.chain.id, url, ...accounts };
          const config = { plugins: [dstack, hardhatLedger], networks: { world: network } };
          const project = await projectOf(world, { ownerKey: "" }, config);
          device.refuses = true;
          expect((await safe(project, "sign", { hardwareWallet: true })).exitCode).to.not.equal(0);
          device.refuses = false;
          const signed = await ok<object>(project, ["safe", "sign"], { hardwareWallet: true });
          expect(signed).to.deep.include({ outcome: "signed", confirmedBy: [test.owners[1].address] });
          const { domainHash, messageHash } = proposed;
          expect(device.shown.at(-1)).to.deep.equal({ domainHash, messageHash });
        } finally {
          device.remove();
          if (XDG_CONFIG_HOME === undefined) delete process.env.XDG_CONFIG_HOME;
          else process.env.XDG_CONFIG_HOME = XDG_CONFIG_HOME;
        }
        await ok(owners[2], ["safe", "sign"]);
        expect(await ok<object>(payer, ["safe", "execute"])).to.include({ outcome: "executed" });
      });

      once("refuses files that are not the plan's proposal", async () => {
        await ok(owners[0], ["safe", "propose"]);
        const copy = file("other-plan.json");
        await ok(owners[0], ["hash", "add"], { hashes: [other], plan: copy });
        const error = await refusal(safe(owners[1], "sign", { file: copy, proposal: file("plan.safe.json") }));
        expect(error).to.include({ code: "DSTK-1302" });
        expect(error.message).to.include("it was made from another plan");
        await writeFile(file("broken.json"), "{}");
        for (const name of ["broken.json", "missing.json"])
          expect(await refusal(safe(owners[1], "sign", { proposal: file(name) }))).to.include({ code: "DSTK-1302" });
      });
    });
  }
});

/** Says that each transaction has other calldata. */
function tampered(body: unknown): unknown {
  const { results } = Object(body) as { readonly results?: readonly object[] };
  return results === undefined
    ? body
    : { ...Object(body), results: results.map((one) => ({ ...one, data: "0x1234" })) };
}
