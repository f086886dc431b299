import { expect } from "chai";
import { network } from "hardhat";
import {
  type Address,
  concat,
  encodeFunctionData,
  type Hex,
  keccak256,
  parseEther,
  stringToHex,
  zeroAddress,
} from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { getBlockNumber, sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { batchExecutorAddress } from "../../../../src/core/batch-executor.ts";
import { safeDeployments } from "../../../../src/core/safe-deployments.ts";
import { LintRefusedError } from "../../../../src/errors/index.ts";
import { examineOwner } from "../../../../src/governance/examine-owner.ts";
import type { OwnerExamination } from "../../../../src/governance/examined-owner.ts";
import { judgeOwner, ownerRules, requireOwnerFit } from "../../../../src/governance/owner-rules.ts";
import { canMakeCalls } from "../../../../src/governance/read-powers.ts";
import { answeringCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployAppOf, deployDstack, type OpConnection } from "../../../support/chain/deploy-dstack.ts";
import {
  deploySafe,
  deployTimelock,
  executeSafe,
  safeArtifact,
  timelockArtifactAbi,
} from "../../../support/chain/deploy-owner-contracts.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";

const twoDays = 172_800n;
const roleOf = (name: string): Hex => keccak256(stringToHex(name));

describe("examineOwner", () => {
  let connection: OpConnection;
  let dstack: Dstack;
  const newAddress = (): Address => privateKeyToAccount(generatePrivateKey()).address;
  const codeAt = async (code: Hex, address = newAddress()): Promise<Address> => {
    await connection.networkHelpers.setCode(address, code);
    return address;
  };
  const examine = (newOwner: Address, contract: Address = dstack.appId): Promise<OwnerExamination> =>
    examineOwner(dstack.client, { contract, newOwner, kms: dstack.kms });
  const rulesOf = ({ findings }: Pick<OwnerExamination, "findings">) =>
    findings.map(({ severity, rule }) => `${severity} ${rule}`);
  const safeOf = (owners: readonly Address[], threshold: number) =>
    deploySafe(dstack.client, { payer: dstack.owner, owners, threshold });
  const execute = async (to: Address, data: Hex) => {
    const hash = await sendTransaction(dstack.client, { account: dstack.owner, chain: dstack.client.chain, to, data });
    await waitForTransactionReceipt(dstack.client, { hash });
  };

  before(async () => {
    connection = await network.create("local");
  });
  after(() => connection.close());
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  describe("a key", () => {
    it("passes if it has sent a transaction on this chain", async () => {
      const { stranger } = dstack;
      const examined = await examine(stranger.address);
      expect(examined.newOwner).to.include({ kind: "eoa", ability: "able", delegatedTo: undefined });
      expect([examined.isTwoStep, examined.findings]).to.deep.equal([true, []]);
    });

    it("is refused without a transaction and a balance, as is a Safe that exists on another chain only", async () => {
      const examined = await examine(newAddress());
      expect(examined.newOwner).to.include({ ability: "unknown", nonce: 0, balanceWei: 0n });
      expect(rulesOf(examined)).to.deep.equal(["error unused-owner"]);
      expect(examined.findings[0]?.message).to.include("exists on another chain");
      expect(() => requireOwnerFit(examined.findings, new Set())).to.throw(LintRefusedError, "unused-owner");
      requireOwnerFit(examined.findings, new Set(["unused-owner"]));
    });

    it("is told if it has only a balance", async () => {
      const address = newAddress();
      await connection.networkHelpers.setBalance(address, 1n);
      expect(rulesOf(await examine(address))).to.deep.equal(["warning unsigned-owner"]);
    });

    it("is told if it delegates to another contract than the batch executor", async () => {
      const delegate = newAddress();
      const examined = await examine(await codeAt(concat(["0xef0100", delegate])));
      expect([examined.newOwner.ability, ...rulesOf(examined)]).to.deep.equal(["able", "warning delegated-owner"]);
      expect(rulesOf(await examine(await codeAt(concat(["0xef0100", batchExecutorAddress]))))).to.deep.equal([]);
    });
  });

  it("refuses what can never act, whatever the user accepts", async () => {
    const { kms, appId, appImplementation, owner } = dstack;
    await connection.networkHelpers.setCode(safeDeployments["1.5.0"].multiSendCallOnly, "0x00");
    const cases: readonly (readonly [Address, string])[] = [
      [zeroAddress, "zero-owner"],
      [appId, "owner-is-contract"],
      [kms, "owner-is-kms"],
      [await deployAppOf(dstack, owner.address), "owner-is-app"],
      [appImplementation, "owner-is-implementation"],
      ["0xcA11bde05977b3631167028862bE2a173976CA11", "owner-is-open"],
      [safeDeployments["1.5.0"].multiSendCallOnly, "owner-is-open"],
      [safeDeployments["1.4.1"].safeL2, "owner-is-shared"],
      [await codeAt("0x60f15000"), "owner-cannot-call"], // PUSH1 0xf1, POP, STOP
      ["0x000000000000000000000000000000000000dEaD", "keyless-owner"],
      ["0x0000000000000000000000000000000000000004", "keyless-owner"],
    ];
    for (const [address, rule] of cases) {
      const examined = await examine(address);
      expect(rulesOf(examined), rule).to.deep.equal([`error ${rule}`]);
      const everything = new Set(ownerRules.map(({ name }) => name));
      expect(() => requireOwnerFit(examined.findings, everything))
        .to.throw(LintRefusedError)
        .with.property("nextStep", "Give the address of a key, a Safe or a timelock.");
    }
    expect(rulesOf(await examine(kms, kms))).to.deep.equal(["error owner-is-contract"]);
    expect(rulesOf(await examine(appImplementation, kms))).to.deep.equal(["error owner-is-implementation"]);
    expect(rulesOf(await examine(appId, kms))).to.deep.equal(["error owner-is-app"]);
  });

  it("tells of a contract that it does not know, and refuses it if the transfer takes effect at once", async () => {
    const examined = await examine(await codeAt("0x5f5f5f5f5f5f5ff100"));
    expect(examined.newOwner).to.include({ kind: "contract", role: "unknown", ability: "unknown" });
    expect(rulesOf(examined)).to.deep.equal(["warning unknown-contract"]);
    expect(examined.findings[0]?.advice).to.include("rehearsal");
    expect(rulesOf({ findings: judgeOwner({ ...examined, isTwoStep: false }) })).to.deep.equal([
      "error unknown-contract",
    ]);
  });

  it("reads a contract whose transfers take effect at once", async () => {
    const old = await codeAt(
      answeringCode({ "owner()": `0x${"00".repeat(12)}${dstack.owner.address.slice(2)}` }),
      `0x${"77".repeat(20)}`,
    );
    expect(await examine(dstack.stranger.address, old)).to.deep.include({ isTwoStep: false, findings: [] });
  });

  describe("a Safe", () => {
    it("is described with its owners, and warned of where it is doubtful", async () => {
      const { owner, stranger } = dstack;
      const unused = newAddress();
      const examined = await examine(await safeOf([owner.address, stranger.address, unused], 2));
      expect(examined.newOwner).to.deep.include({
        ...{ kind: "safe", ability: "able", version: "1.5.0", threshold: 2n, nonce: 0n, modules: [], guard: undefined },
      });
      // Its code is not at Safe's address on this chain.
      expect(rulesOf(examined)).to.deep.equal(["warning unpublished-safe"]);
    });

    it("knows Safe's published code by the address that the proxy names", async () => {
      const { owner, stranger } = dstack;
      const safe = await safeOf([owner.address, stranger.address], 1);
      const { safeL2 } = safeDeployments["1.5.0"];
      const { deployedBytecode } = safeArtifact("1.5.0", "SafeL2.sol/SafeL2.json") as unknown as Record<string, Hex>;
      await codeAt(deployedBytecode ?? "0x", safeL2);
      await connection.networkHelpers.setStorageAt(safe, "0x0", `0x${"00".repeat(12)}${safeL2.slice(2)}`);
      expect(rulesOf(await examine(safe))).to.deep.equal(["note safe-one-signature"]);
    });

    it("is told if nothing shows that its owners have keys", async () => {
      const examined = await examine(await safeOf([newAddress(), newAddress(), newAddress()], 2));
      expect(examined.newOwner.ability).to.equal("unknown");
      expect(rulesOf(examined)).to.include("warning safe-unproven");
    });

    it("is refused if too few of its owners can sign, and told if one of them cannot", async () => {
      const { owner, stranger, appId, kms } = dstack;
      const refused = await examine(await safeOf([owner.address, appId, kms], 2));
      expect(rulesOf(refused).filter((rule) => rule.startsWith("error"))).to.deep.equal(["error safe-cannot-sign"]);
      expect(refused.findings[0]?.message).to.include("requires 2 signatures, but only 1 of its 3 owners can sign");
      const told = await examine(await safeOf([owner.address, stranger.address, appId], 2));
      expect(told.newOwner.ability).to.equal("able");
      expect(rulesOf(told)).to.have.members([
        "warning owner-is-contract",
        "warning safe-needs-all-owners",
        "warning unpublished-safe",
      ]);
      expect(told.findings.find(({ rule }) => rule === "owner-is-contract")?.message.toLowerCase()).to.match(
        new RegExp(`^the owner ${appId} of the safe 0x\\w{40} is the contract itself`),
      );
    });

    it("is told with its modules and its guard", async () => {
      const { client, owner, stranger } = dstack;
      const safe = await safeOf([owner.address, stranger.address], 1);
      const module = newAddress();
      const { abi } = safeArtifact("1.5.0", "Safe.sol/Safe.json");
      const data = encodeFunctionData({ abi, functionName: "enableModule", args: [module] });
      await executeSafe(client, owner, { safe, to: safe, data, operation: 0 });
      const guard = newAddress();
      const slot = roleOf("guard_manager.guard.address");
      await connection.networkHelpers.setStorageAt(safe, slot, `0x${"00".repeat(12)}${guard.slice(2)}`);
      const examined = await examine(safe);
      expect(examined.newOwner).to.deep.include({ modules: [module], guard });
      expect(rulesOf(examined)).to.include.members(["warning safe-modules", "warning safe-guard"]);
    });

    it("is followed into Safes that own it, not in circles and not without an end", async () => {
      const { owner, stranger, client } = dstack;
      const inner = await safeOf([owner.address, stranger.address], 1);
      const outer = await examine(await safeOf([inner, newAddress()], 1));
      expect(outer.newOwner).to.have.nested.property("owners[0].owners[1].ability", "able");
      expect(outer.newOwner.ability).to.equal("able");

      const { abi } = safeArtifact("1.5.0", "Safe.sol/Safe.json");
      const circular = await safeOf([inner, owner.address], 2);
      const prev = "0x0000000000000000000000000000000000000001" as const;
      const args = [prev, owner.address, circular];
      const data = encodeFunctionData({ abi, functionName: "swapOwner", args });
      await executeSafe(client, owner, { safe: inner, to: inner, data, operation: 0 });
      expect(rulesOf(await examine(inner))).to.include("warning circular-owner");

      let deep = owner.address as Address;
      for (let level = 0; level < 5; level += 1) deep = await safeOf([deep], 1);
      const examined = await examine(deep);
      expect([examined.newOwner.ability, rulesOf(examined).includes("warning unread-owner")]).to.deep.equal([
        "unknown",
        true,
      ]);
    });

    it("is read to a limit if it names very many owners", async () => {
      const many = await safeOf(
        Array.from({ length: 80 }, () => newAddress()),
        80,
      );
      const examined = await examine(many);
      const { owners } = examined.newOwner as { readonly owners?: readonly { readonly kind: string }[] };
      expect(owners?.filter(({ kind }) => kind === "unread")).to.have.lengthOf(80 - 63);
    });
  });

  describe("a timelock", () => {
    const timelockOf = async (
      proposers: readonly Address[],
      executors: readonly Address[],
      delay = twoDays,
      isAdminLeft = false,
    ): Promise<Address> => {
      const { client, owner } = dstack;
      const timelock = await deployTimelock(client, owner, delay, { proposers, executors });
      const args = [`0x${"00".repeat(32)}`, owner.address];
      if (!isAdminLeft)
        await execute(timelock, encodeFunctionData({ abi: timelockArtifactAbi, functionName: "renounceRole", args }));
      return timelock;
    };

    it("passes with a proposer and an executor that can act", async () => {
      const { owner } = dstack;
      const safe = await safeOf([owner.address, dstack.stranger.address], 1);
      const examined = await examine(await timelockOf([safe], [zeroAddress]));
      expect(examined.newOwner).to.deep.include({
        ...{ kind: "timelock", ability: "able", minDelaySeconds: twoDays, executors: [], admins: [] },
        ...{ isExecutorOpen: true, isProposerOpen: false },
      });
      expect(examined.newOwner).to.have.nested.property("proposers[0].kind", "safe");
      expect(rulesOf(examined).filter((rule) => rule.includes("timelock"))).to.deep.equal([]);
    });

    it("is told if its admin can give roles without the delay, and if it has none or a very long one", async () => {
      const { owner } = dstack;
      const accounts = [[owner.address], [owner.address]] as const;
      expect(rulesOf(await examine(await timelockOf(...accounts, twoDays, true)))).to.deep.equal([
        "warning timelock-admin",
      ]);
      expect(rulesOf(await examine(await timelockOf(...accounts, 0n)))).to.deep.equal(["warning timelock-delay"]);
      const days = 86_400n;
      expect(rulesOf(await examine(await timelockOf(...accounts, 31n * days)))).to.deep.equal([
        "warning timelock-delay",
      ]);
      expect(rulesOf(await examine(await timelockOf(...accounts, 366n * days)))).to.deep.equal([
        "error timelock-delay",
      ]);
    });

    it("is refused without a proposer or an executor that can act", async () => {
      const { owner, appId } = dstack;
      for (const [proposers, executors] of [
        [[], [owner.address]],
        [[owner.address], []],
        [[appId], [zeroAddress]],
      ] as const)
        expect(rulesOf(await examine(await timelockOf(proposers, executors)))).to.include("error timelock-cannot-act");
    });

    it("forgets a proposer that has lost its role", async () => {
      const { owner } = dstack;
      const timelock = await timelockOf([owner.address], [zeroAddress]);
      const args = [roleOf("PROPOSER_ROLE"), owner.address];
      await execute(timelock, encodeFunctionData({ abi: timelockArtifactAbi, functionName: "renounceRole", args }));
      expect(rulesOf(await examine(timelock))).to.include("error timelock-cannot-act");
    });

    it("is refused if every account can propose", async () => {
      const { owner } = dstack;
      const multicall3 = "0xcA11bde05977b3631167028862bE2a173976CA11" as const;
      expect(rulesOf(await examine(await timelockOf([owner.address, multicall3], [zeroAddress])))).to.include(
        "error timelock-is-open",
      );
      // The first releases of OpenZeppelin let every account propose if the zero address has the role.
      const open = await codeAt(
        answeringCode({
          "getMinDelay()": `0x${"00".repeat(32)}`,
          "PROPOSER_ROLE()": roleOf("PROPOSER_ROLE"),
          "schedule(address,uint256,bytes,bytes32,bytes32,uint256)": "0x",
        }),
      );
      expect(rulesOf(await examine(open))).to.include("error timelock-is-open");
      // Later releases do not, so it is only useless.
      const closed = await timelockOf([zeroAddress, owner.address], [zeroAddress]);
      expect(rulesOf(await examine(closed))).to.deep.equal([]);
    });

    it("is told if the endpoint does not serve its logs, and refused if the transfer takes effect at once", async () => {
      const { owner } = dstack;
      const timelock = await timelockOf([owner.address], [owner.address]);
      const { client: silent } = interceptedClient(connection, {
        intercept: async ({ method }, pass) => {
          if (method === "eth_getLogs") throw rpcError(4444, "pruned history unavailable");
          return pass();
        },
      });
      const examined = await examineOwner(silent, { contract: dstack.appId, newOwner: timelock });
      expect(examined.newOwner).to.include({ ability: "unknown", proposers: undefined, admins: undefined });
      expect(rulesOf(examined)).to.deep.equal(["warning timelock-unproven"]);
      expect(rulesOf({ findings: judgeOwner({ ...examined, isTwoStep: false }) })).to.deep.equal([
        "error timelock-unproven",
      ]);
    });
  });

  it("reads everything at the given block", async () => {
    const { client, appId } = dstack;
    const blockNumber = await getBlockNumber(client, { cacheTime: 0 });
    const newOwner = newAddress();
    await connection.networkHelpers.mine();
    await connection.networkHelpers.setBalance(newOwner, parseEther("1"));
    expect(rulesOf(await examineOwner(client, { contract: appId, newOwner, blockNumber }))).to.deep.equal([
      "error unused-owner",
    ]);
    expect(rulesOf(await examineOwner(client, { contract: appId, newOwner }))).to.deep.equal([
      "warning unsigned-owner",
    ]);
  });

  it("finds an instruction that calls, but not in the data of a PUSH", () => {
    for (const [code, expected] of [
      ["0x", false],
      ["0x00", false],
      ["0xf1", true],
      ["0xf2", true],
      ["0xf4", true],
      ["0xfa", false],
      ["0x60f1", false],
      ["0x60", false],
      ["0x6000f1", true],
      [`0x7f${"f1".repeat(32)}00`, false],
      [`0x7f${"f1".repeat(33)}`, true],
    ] as const)
      expect(canMakeCalls(code), code).to.equal(expected);
  });
});
