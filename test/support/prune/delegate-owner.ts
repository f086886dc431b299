import { createWalletClient, custom, http } from "viem";
import { waitForTransactionReceipt } from "viem/actions";
import { base } from "viem/chains";
import {
  batchExecutorAddress,
  batchExecutorDeployment,
  deterministicDeployer,
} from "../../../src/core/batch/batch-executor.ts";
import type { World } from "../../../src/world/start-world.ts";
import { deterministicDeployerCode } from "../chain/deterministic-deployer.ts";

/**
 * Lets the world's owner delegate to the batch executor (EIP-7702). The simulated OP stack chain knows delegations and
 * cannot read a signed transaction that makes one, so it is told to make it; from then on every transaction of the
 * owner is an ordinary one.
 */
export async function delegateOwner({ chain, owner, ownerClient }: World): Promise<void> {
  const { client } = chain;
  const wallet = createWalletClient({ account: owner, chain: base, transport: http(chain.rpcUrl) });
  if ((await client.getCode({ address: batchExecutorAddress })) === undefined) {
    await client.setCode({ address: deterministicDeployer, bytecode: deterministicDeployerCode });
    const deployment = await wallet.sendTransaction({ to: deterministicDeployer, data: batchExecutorDeployment });
    await waitForTransactionReceipt(ownerClient, { hash: deployment, pollingInterval: 5 });
  }
  const authorization = await wallet.signAuthorization({ contractAddress: batchExecutorAddress, executor: "self" });
  await client.impersonateAccount({ address: owner.address });
  const unlocked = createWalletClient({ account: owner.address, chain: base, transport: custom(client) });
  const hash = await unlocked.sendTransaction({ to: owner.address, authorizationList: [authorization] });
  await waitForTransactionReceipt(ownerClient, { hash, pollingInterval: 5 });
  await client.stopImpersonatingAccount({ address: owner.address });
}
