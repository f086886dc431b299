/// <reference types="chai" />
import { parseComposeHash, parseDeviceId } from "../core/ids.ts";
import { type BootVerdict, toBootVerdict } from "./boot.ts";
import { toContractReader } from "./contract-reader.ts";

declare global {
  // biome-ignore lint/style/noNamespace: chai's types are extended in the namespace they are declared in
  namespace Chai {
    interface Assertion {
      /** For an app: asserts that this compose hash may boot. Await it. */
      allowComposeHash(composeHash: string): Promise<void>;
      /**
       * For an app: asserts that this device may boot, because it is listed or because any device may boot. Await it.
       */
      allowDevice(deviceId: string): Promise<void>;
      /** For a KMS or an app, asked with `bootInfo`, or for an answer of `isAppAllowed`. Await it. */
      allowBoot(bootInfo?: object): Promise<void>;
      /**
       * For a KMS or an app, asked with `bootInfo`, or for an answer of `isAppAllowed`. Await it.
       *
       * @param reason the contract's exact reason. @default any reason
       */
      refuseBoot(reason?: string, bootInfo?: object): Promise<void>;
    }
  }
}

type Check = (subject: unknown, ...args: readonly never[]) => Promise<Outcome>;

interface Outcome {
  readonly holds: boolean;
  /** Completes "expected …". Contains " to " exactly once, so that it can be negated. */
  readonly expected: string;
  /** Completes "…, but …". */
  readonly found: string;
}

/**
 * Chai matchers for apps and boot verdicts: `use(dstackMatchers)`. Each matcher returns a promise; the test must await
 * it. They accept contracts of viem (`getContract`, hardhat-viem) and of ethers.
 *
 * @example
 * import { expect, use } from "chai";
 * import { deployDstack, dstackMatchers } from "dstack-toolkit/testing";
 * import { client } from "./app.js";
 * use(dstackMatchers);
 * const { kms, bootInfo } = await deployDstack(client);
 * await expect(kms).to.allowBoot(bootInfo());
 */
export const dstackMatchers: Chai.ChaiPlugin = ({ Assertion }, { flag }) => {
  for (const [name, check] of Object.entries<Check>({ allowComposeHash, allowDevice, allowBoot, refuseBoot })) {
    Assertion.addMethod(name, async function (...args: unknown[]) {
      // Keep the position in the test: after the await, the stack no longer leads back to it.
      const site = new Error();
      Error.captureStackTrace(site, flag(this, "ssfi"));
      const { holds, expected, found } = await check(this._obj, ...(args as never[])); // each check parses its own
      try {
        this.assert(holds, `expected ${expected}, but ${found}`, `expected ${negate(expected)}, but ${found}`);
      } catch (error) {
        if (error instanceof Error) error.stack = `${error.name}: ${error.message}\n${stackLines(site)}`;
        throw error;
      }
    });
  }
};

async function allowComposeHash(subject: unknown, raw: string): Promise<Outcome> {
  const app = toContractReader(subject, "allowComposeHash");
  const composeHash = parseComposeHash(raw);
  const holds = (await app.read("allowedComposeHashes", composeHash)) === true;
  return {
    holds,
    expected: `app ${app.address} to allow compose hash ${composeHash}`,
    found: holds ? "it is on its list" : "it is not on its list",
  };
}

async function allowDevice(subject: unknown, raw: string): Promise<Outcome> {
  const app = toContractReader(subject, "allowDevice");
  const deviceId = parseDeviceId(raw);
  const [isListed, isAnyAllowed] = await Promise.all([
    app.read("allowedDeviceIds", deviceId),
    app.read("allowAnyDevice"),
  ]);
  const list = isListed === true ? "it is on its list" : "it is not on its list";
  return {
    holds: isListed === true || isAnyAllowed === true,
    expected: `app ${app.address} to allow device ${deviceId}`,
    found: isAnyAllowed === true ? "the app allows any device" : list,
  };
}

async function allowBoot(subject: unknown, bootInfo?: object): Promise<Outcome> {
  const verdict = await toBootVerdict(subject, bootInfo, "allowBoot");
  return { holds: verdict.isAllowed, expected: "the boot to be allowed", found: describe(verdict) };
}

async function refuseBoot(subject: unknown, reason?: string, bootInfo?: object): Promise<Outcome> {
  const verdict = await toBootVerdict(subject, bootInfo, "refuseBoot");
  return {
    holds: !verdict.isAllowed && (reason === undefined || verdict.reason === reason),
    expected: `the boot to be refused${reason === undefined ? "" : ` with ${JSON.stringify(reason)}`}`,
    found: describe(verdict),
  };
}

function describe({ isAllowed, reason }: BootVerdict): string {
  return isAllowed ? "it is allowed" : `it is refused with ${JSON.stringify(reason)}`;
}

function negate(expected: string): string {
  return expected.replace(" to ", " not to ");
}

function stackLines({ stack = "" }: Error): string {
  return stack.split("\n").slice(1).join("\n");
}
