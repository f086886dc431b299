import type { AddressInfo } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import {
  type Address,
  type Chain,
  createPublicClient,
  decodeEventLog,
  getAddress,
  type Hex,
  hashMessage,
  hashTypedData,
  http,
  isAddress,
  isHex,
  parseAbi,
  recoverAddress,
  size,
  slice,
  toHex,
} from "viem";
import { z } from "zod";

/** A confirmation as the service keeps it. */
interface Confirmation {
  readonly owner: Address;
  readonly signature: Hex;
  readonly signatureType: "EOA" | "ETH_SIGN" | "APPROVED_HASH";
  readonly submissionDate: string;
}

interface Stored {
  readonly safe: Address;
  readonly body: Proposed;
  readonly safeTxHash: Hex;
  readonly proposer: Address;
  readonly proposedByDelegate: Address | null;
  readonly submissionDate: string;
  readonly confirmations: Confirmation[];
}

/** A request and the answer that the service would give to it. A test may answer something else. */
export interface ServiceExchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly body: unknown;
}

export interface SafeServiceOptions {
  readonly rpcUrl: string;
  /** If set, requests need it as a Bearer token. */
  readonly apiKey?: string | undefined;
}

export interface SafeService {
  /** Ends in /api, as the address that the Safe API kit takes. */
  readonly url: string;
  /** Every request, in order. */
  readonly received: { readonly method: string; readonly path: string; readonly authorization: string | undefined }[];
  /** If set, decides what is sent instead of an answer. */
  tamper: ((exchange: ServiceExchange) => Pick<ServiceExchange, "status" | "body">) | undefined;
  close(): Promise<void>;
}

const safeAbi = parseAbi([
  "function VERSION() view returns (string)",
  "function getThreshold() view returns (uint256)",
  "function getOwners() view returns (address[])",
  "function nonce() view returns (uint256)",
  "function approvedHashes(address owner, bytes32 hash) view returns (uint256)",
  "function getTransactionHash(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce) view returns (bytes32)",
]);
const executionAbi = parseAbi([
  "event ExecutionSuccess(bytes32 indexed txHash, uint256 payment)",
  "event ExecutionFailure(bytes32 indexed txHash, uint256 payment)",
]);

/** What the service refuses, with its status and body. */
class Refusal extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body: unknown) {
    super(JSON.stringify(body));
    this.status = status;
    this.body = body;
  }
}

const invalid = (message: string) => new Refusal(422, { nonFieldErrors: [message] });

const address = z.string().refine((raw) => isAddress(raw, { strict: true }), "is not a checksummed address");
const uint = z.union([z.number().int().min(0), z.string().regex(/^\d+$/)]).transform(String);
const hexOf = (bytes: number) => z.custom<Hex>((raw) => isHex(raw) && size(raw) === bytes, `is not ${bytes} bytes`);
const hex = z.custom<Hex>((raw) => isHex(raw) && raw.length % 2 === 0, "is not hex");
const signature = hex.refine((raw) => size(raw) >= 65, "has less than 65 bytes");
const zero: Address = "0x0000000000000000000000000000000000000000";
const proposed = z.object({
  to: address,
  value: uint,
  data: hex.nullish().transform((data) => data ?? "0x"),
  operation: z.number().int().min(0).max(1),
  gasToken: address.nullish().transform((token) => token ?? zero),
  safeTxGas: uint,
  baseGas: uint,
  gasPrice: uint,
  refundReceiver: address.nullish().transform((receiver) => receiver ?? zero),
  nonce: uint,
  contractTransactionHash: hexOf(32),
  sender: address,
  signature: signature.nullish(),
  origin: z.string().max(200).nullish(),
});
type Proposed = z.output<typeof proposed>;

const delegation = z.object({
  safe: address.nullable(),
  delegate: address,
  delegator: address,
  label: z.string().max(50),
  signature,
});

/**
 * A Safe Transaction Service on loopback, in memory. It checks every field, hash and signature, and asks the chain who
 * owns a Safe, what its nonce is, and which hash it computes.
 */
export async function startSafeService({ rpcUrl, apiKey }: SafeServiceOptions): Promise<SafeService> {
  const app = Fastify({ routerOptions: { ignoreTrailingSlash: true } });
  const books = new Books(createPublicClient<ReturnType<typeof http>, Chain | undefined>({ transport: http(rpcUrl) }));
  const service: { -readonly [Name in keyof SafeService]: SafeService[Name] } = {
    url: "",
    received: [],
    tamper: undefined,
    close: () => app.close(),
  };
  app.addHook("onRequest", async ({ method, url: path, headers }, reply) => {
    service.received.push({ method, path, authorization: headers.authorization });
    if (apiKey !== undefined && headers.authorization !== `Bearer ${apiKey}`)
      return reply.code(401).send({ message: "Invalid authentication credentials" });
  });
  app.setErrorHandler(async (error, _, reply) => {
    if (error instanceof Refusal) return reply.code(error.status).send(error.body);
    return reply.code(500).send({ detail: String(error) });
  });
  app.addHook("preSerialization", async ({ method, url: path }, reply, body) => {
    const changed = service.tamper?.({ method, path, status: reply.statusCode, body });
    if (changed === undefined) return body;
    reply.code(changed.status);
    return changed.body;
  });
  addRoutes(app, books);
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo; // a TCP server that listens has one
  service.url = `http://127.0.0.1:${port}/api`;
  return service;
}

function addRoutes(app: FastifyInstance, books: Books): void {
  type InSafe = { Params: { safe: string }; Querystring: Record<string, string | undefined> };
  type OfHash = { Params: { hash: string } };
  app.get("/api/v1/about", async () => ({ name: "Safe Transaction Service", version: "5.0.0", api_version: "v1" }));
  app.get<InSafe>("/api/v1/safes/:safe/", async ({ params }) => {
    const safe = addressInPath(params.safe);
    const { owners, threshold, nonce, version } = await books.readSafe(safe);
    const rest = { masterCopy: zero, modules: [], fallbackHandler: zero, guard: zero };
    return { address: safe, nonce: String(nonce), threshold: Number(threshold), owners, version, ...rest };
  });
  app.get<InSafe>("/api/v2/safes/:safe/multisig-transactions/", async ({ params, query, url }) => {
    const all = await books.list(addressInPath(params.safe), query);
    const limit = Math.min(Number(query.limit ?? 100), 100);
    const offset = Number(query.offset ?? 0);
    const next = new URL(url, "http://127.0.0.1");
    next.searchParams.set("offset", String(offset + limit));
    const results = await Promise.all(all.slice(offset, offset + limit).map((stored) => books.describe(stored)));
    const isMore = offset + limit < all.length;
    return {
      count: all.length,
      next: isMore ? next.href : null,
      previous: null,
      results,
      countUniqueNonce: all.length,
    };
  });
  app.post<InSafe>("/api/v2/safes/:safe/multisig-transactions/", async ({ params, body }, reply) => {
    await books.propose(addressInPath(params.safe), parse(proposed, body));
    return created(reply);
  });
  app.get<OfHash>("/api/v2/multisig-transactions/:hash/", async ({ params }) =>
    books.describe(books.transaction(params.hash)),
  );
  app.get<OfHash>("/api/v1/multisig-transactions/:hash/confirmations/", async ({ params }) => {
    const { confirmations } = books.transaction(params.hash);
    return { count: confirmations.length, next: null, previous: null, results: confirmations };
  });
  app.post<OfHash>("/api/v1/multisig-transactions/:hash/confirmations/", async ({ params, body }, reply) => {
    const { signature: signatures } = parse(z.object({ signature }), body);
    await books.confirm(books.transaction(params.hash), signatures);
    return reply.code(201).send({ signature: signatures });
  });
  app.post("/api/v2/delegates/", async ({ body }, reply) => {
    await books.delegate(parse(delegation, body));
    return reply.code(201).send(body);
  });
}

function created(reply: FastifyReply) {
  return reply.code(201).send();
}

function addressInPath(raw: string): Address {
  if (isAddress(raw, { strict: true })) return raw;
  throw new Refusal(422, { code: 1, message: "Checksum address validation failed", arguments: [raw] });
}

function parse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const { data, error } = schema.safeParse(body);
  if (error === undefined) return data;
  throw new Refusal(422, Object.fromEntries(error.issues.map(({ path, message }) => [path.join("."), [message]])));
}

/** What the service keeps, and what it asks the chain. */
class Books {
  readonly #client;
  readonly #transactions = new Map<string, Stored>();
  readonly #delegates: { readonly safe: Address | null; readonly delegate: Address; readonly delegator: Address }[] =
    [];

  constructor(client: ReturnType<typeof createPublicClient>) {
    this.#client = client;
  }

  async readSafe(safe: Address) {
    const read = <Name extends "VERSION" | "getThreshold" | "getOwners" | "nonce">(functionName: Name) =>
      this.#client.readContract({ address: safe, abi: safeAbi, functionName });
    try {
      const [version, threshold, owners, nonce] = await Promise.all([
        read("VERSION"),
        read("getThreshold"),
        read("getOwners"),
        read("nonce"),
      ]);
      return { version, threshold, owners, nonce };
    } catch {
      throw new Refusal(404, { detail: "No SafeContract matches the given query." });
    }
  }

  transaction(hash: string): Stored {
    const stored = this.#transactions.get(hash.toLowerCase());
    if (stored === undefined) throw new Refusal(404, { detail: "No MultisigTransaction matches the given query." });
    return stored;
  }

  async list(safe: Address, query: Readonly<Record<string, string | undefined>>): Promise<readonly Stored[]> {
    const { nonce } = await this.readSafe(safe);
    const wanted = [...this.#transactions.values()].filter((stored) => {
      const own = BigInt(stored.body.nonce);
      if (stored.safe !== safe) return false;
      if (query.executed !== undefined && (query.executed === "true") !== own < nonce) return false;
      if (query.nonce !== undefined && own !== BigInt(query.nonce)) return false;
      return query.nonce__gte === undefined || own >= BigInt(query.nonce__gte);
    });
    const sign = query.ordering === "nonce" ? 1 : -1;
    return wanted.toSorted((one, other) => sign * (Number(one.body.nonce) - Number(other.body.nonce)));
  }

  async propose(safe: Address, body: Proposed): Promise<void> {
    const { owners, nonce, threshold } = await this.readSafe(safe);
    const { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, sender } = body;
    const gas = [BigInt(safeTxGas), BigInt(baseGas), BigInt(gasPrice)] as const;
    const safeTxHash = await this.#client.readContract({
      address: safe,
      abi: safeAbi,
      functionName: "getTransactionHash",
      args: [to, BigInt(value), data, operation, ...gas, gasToken, refundReceiver, BigInt(body.nonce)],
    });
    if (safeTxHash.toLowerCase() !== body.contractTransactionHash.toLowerCase())
      throw invalid(
        `Contract-transaction-hash=${safeTxHash} does not match provided contract-tx-hash=${body.contractTransactionHash}`,
      );
    if (BigInt(body.nonce) < nonce) throw invalid(`Tx with nonce=${body.nonce} for safe=${safe} already executed`);
    const delegates = this.#delegates.filter((one) => one.safe === null || one.safe === safe);
    const own = delegates.find(({ delegate, delegator }) => delegate === sender && owners.includes(delegator));
    if (!owners.includes(sender) && own === undefined)
      throw invalid(`Sender=${sender} is not an owner or delegate. Current owners=${owners.join(", ")}`);
    const signatures = await this.#parse(safe, safeTxHash, body.signature ?? "0x");
    if (own !== undefined && signatures.length > 1) throw invalid("Just one signature is expected if using delegates");
    for (const { owner } of signatures)
      if (!owners.includes(owner) && owner !== own?.delegate)
        throw invalid(`Signer=${owner} is not an owner or delegate`);
    if (signatures.length > 0 && !signatures.some(({ owner }) => owner === sender))
      throw invalid(`Signature does not match sender=${sender}`);
    if (threshold === 0n) throw invalid("The Safe has no threshold");
    const submissionDate = new Date().toISOString();
    const stored = this.#transactions.get(safeTxHash) ?? {
      ...{ safe, body, safeTxHash, submissionDate, confirmations: [] },
      proposer: own?.delegator ?? sender,
      proposedByDelegate: own?.delegate ?? null,
    };
    this.#transactions.set(safeTxHash, stored);
    this.#keep(
      stored,
      signatures.filter(({ owner }) => owners.includes(owner)),
    );
  }

  async confirm(stored: Stored, raw: Hex): Promise<void> {
    const { owners, nonce } = await this.readSafe(stored.safe);
    if (BigInt(stored.body.nonce) < nonce)
      throw invalid(`Transaction with safe-tx-hash=${stored.safeTxHash} was already executed`);
    const signatures = await this.#parse(stored.safe, stored.safeTxHash, raw);
    for (const { owner } of signatures)
      if (!owners.includes(owner))
        throw invalid(`Signer=${owner} is not an owner. Current owners=${owners.join(", ")}`);
    this.#keep(stored, signatures);
  }

  #keep({ confirmations }: Stored, signatures: readonly Omit<Confirmation, "submissionDate">[]): void {
    const submissionDate = new Date().toISOString();
    for (const one of signatures)
      if (!confirmations.some(({ owner }) => owner === one.owner)) confirmations.push({ ...one, submissionDate });
  }

  async delegate({ safe, delegate, delegator, signature: signed }: z.output<typeof delegation>): Promise<void> {
    const chainId = await this.#client.getChainId();
    const totp = BigInt(Math.floor(Date.now() / 3_600_000));
    const hash = hashTypedData({
      domain: { name: "Safe Transaction Service", version: "1.0", chainId },
      types: {
        Delegate: [
          { name: "delegateAddress", type: "address" },
          { name: "totp", type: "uint256" },
        ],
      },
      primaryType: "Delegate",
      message: { delegateAddress: delegate, totp },
    });
    if ((await recoverAddress({ hash, signature: signed })) !== delegator)
      throw invalid(`Signature does not match provided delegate=${delegate} or delegator=${delegator}`);
    this.#delegates.push({ safe, delegate, delegator });
  }

  async #parse(safe: Address, hash: Hex, raw: Hex): Promise<readonly Omit<Confirmation, "submissionDate">[]> {
    if (size(raw) % 65 !== 0) throw invalid(`Signature=${raw} has a wrong length`);
    const parts = Array.from({ length: size(raw) / 65 }, (_, index) => slice(raw, index * 65, index * 65 + 65));
    const signatures = await Promise.all(parts.map((part) => this.#parseOne(safe, hash, part)));
    if (new Set(signatures.map(({ owner }) => owner)).size < signatures.length)
      throw invalid("Signature is duplicated");
    return signatures;
  }

  async #parseOne(safe: Address, hash: Hex, part: Hex): Promise<Omit<Confirmation, "submissionDate">> {
    const v = Number(slice(part, 64));
    const recover = (of: Hex, byte: number) =>
      recoverAddress({ hash: of, signature: `${slice(part, 0, 64)}${toHex(byte).slice(2)}` }).catch(() => {
        throw invalid(`Signature=${part} is not valid`);
      });
    if (v === 27 || v === 28) return { owner: await recover(hash, v), signature: part, signatureType: "EOA" };
    if (v === 31 || v === 32) {
      const owner = await recover(hashMessage({ raw: hash }), v - 4);
      return { owner, signature: part, signatureType: "ETH_SIGN" };
    }
    if (v !== 1) throw invalid(`Signature=${part} is of a type that this service does not know`);
    const owner = getAddress(slice(part, 12, 32));
    const approved = await this.#client.readContract({
      address: safe,
      abi: safeAbi,
      functionName: "approvedHashes",
      args: [owner, hash],
    });
    if (approved === 0n) throw invalid(`Signature=${part} for owner=${owner} is not valid`);
    return { owner, signature: part, signatureType: "APPROVED_HASH" };
  }

  /** A transaction as version 2 of the API writes it. */
  async describe({ safe, body, safeTxHash, confirmations, ...stored }: Stored): Promise<object> {
    const { contractTransactionHash: _, sender: __, signature: ___, origin, data, ...fields } = body;
    const { nonce, threshold } = await this.readSafe(safe);
    const execution = BigInt(body.nonce) < nonce ? await this.#findExecution(safe, safeTxHash) : undefined;
    return {
      ...{ safe, ...fields, data: data === "0x" ? null : data, safeTxHash, ...stored, modified: stored.submissionDate },
      ...{
        origin: JSON.stringify(origin ?? {}),
        confirmations,
        confirmationsRequired: Number(threshold),
        trusted: true,
      },
      ...{ isExecuted: execution !== undefined, isSuccessful: execution?.isSuccessful ?? null },
      ...{ transactionHash: execution?.transactionHash ?? null, blockNumber: execution?.blockNumber ?? null },
      ...{ executionDate: null, executor: null, dataDecoded: null, signatures: null },
      ...{ ethGasPrice: null, maxFeePerGas: null, maxPriorityFeePerGas: null, gasUsed: null, fee: null },
    };
  }

  async #findExecution(safe: Address, safeTxHash: Hex) {
    const logs = await this.#client.getLogs({ address: safe, fromBlock: 0n });
    for (const { data, topics, transactionHash, blockNumber } of logs) {
      try {
        const { eventName, args } = decodeEventLog({ abi: executionAbi, data, topics });
        if (args.txHash !== safeTxHash) continue;
        return { isSuccessful: eventName === "ExecutionSuccess", transactionHash, blockNumber: Number(blockNumber) };
      } catch {} // another event of the Safe
    }
    return undefined;
  }
}
