import { type Address, getAddress, type Hex, isAddressEqual, isHex } from "viem";
import { z } from "zod";
import { parseFixedHex } from "../core/ids.ts";
import { type SafeDomain, type SafeTx, safeTxHashes } from "../core/safe.ts";
import { parseJson } from "../core/text.ts";
import { InvalidProposalFileError, isDstackError } from "../errors/index.ts";
import { type DocumentKind, readDocument, requireDocument, writeDocument } from "../files/document.ts";
import type { StatedConfirmation } from "./safe-confirmations.ts";

/** A Safe transaction and the owners' signatures, in a file that owners pass to each other. */
export interface SafeProposal extends SafeDomain {
  readonly safeTx: SafeTx;
  readonly safeTxHash: Hex;
  /** Digest of the plan whose calls it makes. */
  readonly plan: Hex;
  /** Not checked: `checkConfirmations` compares them with the chain's owners. */
  readonly confirmations: readonly StatedConfirmation[];
}

const kind = "dstack-safe-proposal";
const schemaVersion = 1;
const mostConfirmations = 1_000;
const proposalDocument: DocumentKind = {
  Unusable: InvalidProposalFileError,
  maxBytes: 4 * 1024 * 1024, // the calls of the largest batch and a hundred signatures have much less
  mayBeLink: false,
  isOne: (text) => isProposal(parseJson(text)),
};

/**
 * Reads a proposal. Its hashes are computed again, and must be those of the file.
 *
 * @throws InvalidProposalFileError
 */
export async function loadProposal(path: string): Promise<SafeProposal> {
  const reading = readProposalFile(await requireDocument(path, proposalDocument));
  if ("problem" in reading) throw new InvalidProposalFileError(path, reading.problem);
  return reading.proposal;
}

/**
 * Writes a proposal for this user alone. Overwrites an older proposal, but no other file.
 *
 * @throws InvalidProposalFileError
 */
export async function saveProposal(path: string, proposal: SafeProposal): Promise<void> {
  await writeDocument(path, writeProposalFile(proposal), proposalDocument);
}

/** Whether there is a file, of any content. @throws InvalidProposalFileError if it cannot be read */
export async function proposalExists(path: string): Promise<boolean> {
  return (await readDocument(path, proposalDocument)) !== undefined;
}

/**
 * Joins the confirmations of several copies of one proposal.
 *
 * @param copies each with the file that it is from
 * @throws InvalidProposalFileError if two of them are about different transactions
 */
export function mergeProposals(
  copies: readonly { readonly path: string; readonly proposal: SafeProposal }[],
): SafeProposal | undefined {
  const [first, ...more] = copies;
  if (first === undefined) return undefined;
  for (const { path, proposal } of more) {
    const { safeTxHash, safe, chainId, plan } = proposal;
    const { proposal: wanted } = first;
    const isSame = safeTxHash === wanted.safeTxHash && isAddressEqual(safe, wanted.safe) && chainId === wanted.chainId;
    if (!isSame || plan !== wanted.plan)
      throw new InvalidProposalFileError(path, `it is about another transaction than ${first.path}`);
  }
  const confirmations = withoutRepeats(copies.flatMap(({ proposal }) => proposal.confirmations));
  return { ...first.proposal, confirmations };
}

function withoutRepeats(all: readonly StatedConfirmation[]): readonly StatedConfirmation[] {
  return all.filter(
    ({ owner, signature }, index) =>
      all.findIndex((one) => isAddressEqual(one.owner, owner) && one.signature === signature) === index,
  );
}

export function writeProposalFile(proposal: SafeProposal): string {
  const { chainId, safe, version, plan, safeTx, confirmations } = proposal;
  const { domainHash, messageHash, safeTxHash } = safeTxHashes(safeTx, proposal);
  const content = {
    ...{ kind, schemaVersion, plan, chainId, safe: getAddress(safe), version },
    safeTx: Object.fromEntries(
      Object.entries(safeTx).map(([name, value]) => [name, typeof value === "bigint" ? `${value}` : value]),
    ),
    ...{ domainHash, messageHash, safeTxHash },
    confirmations: confirmations.map(({ owner, signature }) => ({ owner: getAddress(owner), signature })),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** The result of reading a proposal: it, or the end of the sentence "The proposal file is not usable: …". */
export type ProposalReading = { readonly proposal: SafeProposal } | { readonly problem: string };

/** Reads what `writeProposalFile` wrote. */
export function readProposalFile(text: string): ProposalReading {
  const raw = parseJson(text);
  if (!isProposal(raw)) return { problem: "it is not a proposal of a Safe transaction" };
  if (raw.schemaVersion !== schemaVersion)
    return { problem: `it has a version that this release does not read; it reads version ${schemaVersion}` };
  const proposal = parseProposal(raw);
  if (proposal === undefined) return { problem: "parts of it are missing, malformed or unknown" };
  const { domainHash, messageHash, safeTxHash } = safeTxHashes(proposal.safeTx, proposal);
  if (raw.safeTxHash !== safeTxHash || raw.domainHash !== domainHash || raw.messageHash !== messageHash)
    return { problem: `its hashes are not those of its transaction, whose Safe transaction hash is ${safeTxHash}` };
  return { proposal: { ...proposal, safeTxHash } };
}

const proposalLike = z.looseObject({ kind: z.literal(kind), schemaVersion: z.unknown() });

function isProposal(value: unknown): value is z.output<typeof proposalLike> {
  return proposalLike.safeParse(value).success;
}

const address = z.string().transform((raw): Address => getAddress(parseFixedHex("An address", raw, 20)));
const hash = z.string().transform((raw) => parseFixedHex("A hash", raw, 32));
const uint = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,77})$/)
  .transform(BigInt);
const bytes = z
  .custom<Hex>((raw) => isHex(raw, { strict: true }) && raw.length % 2 === 0)
  .transform((raw): Hex => `0x${raw.slice(2).toLowerCase()}`);
const schema = z.strictObject({
  kind: z.literal(kind),
  schemaVersion: z.literal(schemaVersion),
  plan: hash,
  chainId: z.int().positive(),
  safe: address,
  version: z.string().regex(/^\d+\.\d+\.\d+(?:[+-][\w.+-]{1,30})?$/),
  safeTx: z.strictObject({
    to: address,
    value: uint,
    data: bytes,
    operation: z.union([z.literal(0), z.literal(1)]),
    safeTxGas: uint,
    baseGas: uint,
    gasPrice: uint,
    gasToken: address,
    refundReceiver: address,
    nonce: uint,
  }),
  domainHash: hash,
  messageHash: hash,
  safeTxHash: hash,
  confirmations: z.array(z.strictObject({ owner: address, signature: bytes })).max(mostConfirmations),
});

function parseProposal(raw: object): Omit<SafeProposal, "safeTxHash"> | undefined {
  try {
    const { plan, chainId, safe, version, safeTx, confirmations } = schema.parse(raw);
    return { plan, chainId, safe, version, safeTx, confirmations };
  } catch (error) {
    if (error instanceof z.ZodError || isDstackError(error)) return undefined;
    throw error;
  }
}
