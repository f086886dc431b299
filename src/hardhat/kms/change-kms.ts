import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Address } from "viem";
import { requireEffect } from "../../batch/require-effect.ts";
import { readKmsStatus } from "../../chain/read-kms.ts";
import { caveatOf, type JudgedContract, requireNoKeyEpochs } from "../../core/generation.ts";
import { type Hex, parseFixedHex } from "../../core/ids.ts";
import { lintApp, parseAccepted, requireClean } from "../../core/lint/lint.ts";
import type { PolicyCall } from "../../core/owner-calls.ts";
import { type ConnectedKms, type ConnectKmsArguments, connectKms } from "../connect/connect-kms.ts";
import { showCaveat } from "../connect/generations.ts";
import type { OutputArguments, TaskIo, TaskOutcome } from "../connect/run-task.ts";
import { lintInputs } from "../lint/lint-inputs.ts";
import { carryOut } from "../write/carry-out.ts";

export interface ChangeKmsArguments extends ConnectKmsArguments, OutputArguments {
  /** The 32 bytes to add or remove, or an address. */
  readonly value: string;
  readonly batch?: string | undefined;
  readonly accept?: string | undefined;
}

export interface ChangeKmsParameters {
  /** As a person would call the value: "The OS image hash". */
  readonly what: string;
  /** Width of the value. */
  readonly bytes: number;
  readonly build: (kms: Address, value: Hex) => PolicyCall;
  /** What a person must know before they agree. */
  readonly warning: string;
  readonly check?: ((connected: ConnectedKms, value: Hex) => Promise<void>) | undefined;
}

/**
 * The way of every change of a KMS: parse, refuse one with key epochs, lint, refuse what changes nothing, carry it out as
 * the owner.
 *
 * @throws InvalidArgumentError, InvalidHexError, LintRefusedError, KeyEpochsError, NoEffectError, and what carryOut throws
 */
export async function changeKms(
  io: TaskIo,
  args: ChangeKmsArguments,
  hre: HardhatRuntimeEnvironment,
  { what, bytes, build, warning, check }: ChangeKmsParameters,
): Promise<TaskOutcome> {
  const accepted = parseAccepted(args.accept);
  lintInputs(what, [args.value]);
  const value = parseFixedHex(what, args.value, bytes);
  const connected = await connectKms(args, hre);
  const { kms, client, chainId, generation } = connected;
  const contracts: readonly JudgedContract[] = [{ role: "KMS", address: kms, generation }];
  requireNoKeyEpochs(contracts, accepted.has("key-epochs"));
  showCaveat(io.paper, contracts);
  const calls = [build(kms, value)];
  const findings = lintApp({ calls });
  requireClean(findings, accepted);
  await check?.(connected, value);
  const { owner } = await readKmsStatus(client, { kms });
  await requireEffect(client, calls);
  io.paper.line(warning);
  const sent = await carryOut(io, connected, { calls, signatory: owner, batch: args.batch });
  return { result: { kms, chainId, generation, caveat: caveatOf(contracts), ...sent, findings } };
}
