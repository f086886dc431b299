import { findRevert, translateChainError } from "../chain/rpc-errors.ts";
import { ContractRevertedError, InvalidArgumentError, NoContractError } from "../errors/index.ts";
import { dstackAppAbi } from "../generated/abi.ts";

/** Reads a contract through the library that created the contract object. */
export interface ContractReader {
  readonly address: string;
  /** @throws NoContractError, ContractRevertedError, InvalidArgumentError, RpcUnavailableError */
  read(view: string, ...args: readonly unknown[]): Promise<unknown>;
}

type Call = (view: string, args: readonly unknown[]) => unknown;

interface ViemContract {
  readonly address: string;
  readonly read: Readonly<Record<string, (args: readonly unknown[]) => Promise<unknown>>>;
}

interface EthersContract {
  readonly target: unknown;
  getFunction(name: string): { staticCall(...args: readonly unknown[]): Promise<unknown> };
}

/** Returns a reader for the subject of `expect()`. Undefined if it is not a contract. */
export function findContractReader(subject: unknown): ContractReader | undefined {
  if (isViemContract(subject)) {
    return readerOf(subject.address, (view, args) => subject.read[view]?.(args));
  }
  if (isEthersContract(subject)) {
    return readerOf(String(subject.target), (view, args) => subject.getFunction(view).staticCall(...args));
  }
  return undefined;
}

/** @throws InvalidArgumentError */
export function toContractReader(subject: unknown, matcher: string): ContractReader {
  const reader = findContractReader(subject);
  if (reader !== undefined) return reader;
  throw new InvalidArgumentError(`${matcher} needs a contract in expect(), got ${describeSubject(subject)}.`, {
    nextStep:
      "Pass a contract instance of viem (getContract, hardhat-viem) or of ethers; an address alone is not enough.",
    context: { matcher },
  });
}

export function describeSubject(subject: unknown): string {
  if (typeof subject === "string") return "a string";
  if (Array.isArray(subject)) return "an array";
  return subject === null || typeof subject !== "object" ? String(subject) : "another object";
}

function readerOf(address: string, call: Call): ContractReader {
  return {
    address,
    async read(view, ...args) {
      try {
        return await call(view, args);
      } catch (error) {
        throw explain(error, address, view);
      }
    },
  };
}

function explain(error: unknown, address: string, view: string): Error {
  const links = linksOf(error);
  if (links.some(({ name, code }) => name === "AbiFunctionNotFoundError" || code === "INVALID_ARGUMENT")) {
    return new InvalidArgumentError(`The contract in expect() has no function ${view} in its ABI.`, {
      nextStep: "Pass a contract made with the ABI of DstackApp or DstackKms.",
      context: { address, view },
    });
  }
  const isEmpty = links.some(
    ({ name, code, value }) => name === "ContractFunctionZeroDataError" || (code === "BAD_DATA" && value === "0x"),
  );
  if (isEmpty) return new NoContractError(address);
  const revert = findRevert(undefined, error, dstackAppAbi);
  if (revert === undefined) return translateChainError(undefined, error, `calling ${view} of ${address}`);
  const reason = revert.data === undefined ? "it does not answer like a DstackApp or DstackKms" : revert.reason;
  return new ContractRevertedError({ contract: address, functionName: view, reason });
}

interface Link {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly value?: unknown;
}

/** The error and its causes. They are compared by name, because the test's library may be another copy than ours. */
function linksOf(error: unknown): Link[] {
  const links: Link[] = [];
  for (let link = error; typeof link === "object" && link !== null && links.length < 10; ) {
    links.push(link);
    link = "cause" in link ? link.cause : undefined;
  }
  return links;
}

function isViemContract(subject: unknown): subject is ViemContract {
  return isObject(subject) && typeof subject.address === "string" && isObject(subject.read);
}

function isEthersContract(subject: unknown): subject is EthersContract {
  return isObject(subject) && typeof subject.getFunction === "function" && subject.target !== undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
