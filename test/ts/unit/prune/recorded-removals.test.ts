import { expect } from "chai";
import { type Account, parseGwei } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { memoryBatchJournal } from "../../../../src/chain/transactions/journal.ts";
import { type Hex, parseAppId, parseDeviceId } from "../../../../src/core/ids.ts";
import {
  addComposeHashCall,
  type OwnerCall,
  removeComposeHashCall,
  removeDeviceCall,
} from "../../../../src/core/owner-calls.ts";
import { recordedRemovals } from "../../../../src/prune/apply-prune-plan.ts";
import { planPrune } from "../../../../src/prune/plan-prune.ts";
import { allowlistUse, hashNumber, keepRulesWith } from "../../../support/prune/allowlist-use.ts";

const account: Account = privateKeyToAccount(`0x${"1e".repeat(32)}`);
const plan = planPrune(allowlistUse(), keepRulesWith());
const { appId } = plan;
const other = parseAppId("a1".repeat(20));

/** What a journal has on record after these transactions were signed. */
async function recorded(
  ...entries: readonly { calls: readonly OwnerCall[]; from?: Hex; chainId?: number }[]
): Promise<readonly string[]> {
  const journal = memoryBatchJournal();
  for (const [nonce, { calls, from = account.address, chainId = plan.chainId }] of entries.entries()) {
    const transaction = {
      chainId,
      from,
      to: appId,
      data: calls[0]?.data ?? "0x",
      nonce,
      gas: 100_000n,
      maxFeePerGas: parseGwei("1"),
      maxPriorityFeePerGas: 0n,
      functionName: "removeComposeHash",
      rawTransaction: undefined,
      transactionHash: undefined,
    };
    await journal.prepared({ transaction, calls, authorizes: false });
  }
  return recordedRemovals({ journal, plan, account });
}

const removal = (number: number, of = appId) => removeComposeHashCall({ appId: of, composeHash: hashNumber(number) });

describe("recordedRemovals", () => {
  it("are those of every transaction on record, with all its calls", async () => {
    expect(await recorded({ calls: [removal(1), removal(2)] }, { calls: [removal(3)] })).to.deep.equal(
      [1, 2, 3].map(hashNumber),
    );
    expect(await recorded()).to.deep.equal([]);
  });

  it("are the account's, in whatever letter case the journal has it", async () => {
    const lower: Hex = `0x${account.address.slice(2).toLowerCase()}`;
    expect(await recorded({ calls: [removal(1)], from: lower })).to.deep.equal([hashNumber(1)]);
    expect(await recorded({ calls: [removal(1)], from: `0x${"77".repeat(20)}` })).to.deep.equal([]);
  });

  it("are on the plan's chain and of the plan's app", async () => {
    expect(await recorded({ calls: [removal(1)], chainId: 10 })).to.deep.equal([]);
    expect(await recorded({ calls: [removal(1, other), removal(2)] })).to.deep.equal([hashNumber(2)]);
  });

  it("are no additions, and no devices", async () => {
    const calls = [
      addComposeHashCall({ appId, composeHash: hashNumber(1) }),
      removeDeviceCall({ appId, deviceId: parseDeviceId("dd".repeat(32)) }),
      removal(3),
    ];
    expect(await recorded({ calls })).to.deep.equal([hashNumber(3)]);
  });
});
