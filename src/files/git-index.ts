import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";

/**
 * Explains why a file may come from a git repository, as the end of a sentence. Undefined if no repository around it
 * tracks it. Reads the index itself, in every folder above the file that has a `.git`. Does not run git, because files
 * of a repository can make git use another folder as the repository, or fail.
 */
export function findGitClaim(path: string): string | undefined {
  const file = join(realpathSync(dirname(resolve(path))), basename(path));
  for (let root = dirname(file); ; root = dirname(root)) {
    const claim = findClaimOf(root, relative(root, file).split(sep).join("/"));
    if (claim !== undefined || root === dirname(root)) return claim;
  }
}

function findClaimOf(root: string, name: string): string | undefined {
  const dotGit = join(root, ".git");
  if (!existsSync(dotGit)) return undefined;
  try {
    const folder = gitFolder(dotGit);
    const index = readIfThere(join(folder, "index"));
    if (index === undefined) return undefined; // a repository without an index tracks nothing
    return isListed(readIndex(index, folder), name) ? "git tracks it" : undefined;
  } catch {
    return `the git index in ${root} cannot be read, so git may track it`;
  }
}

/** In a worktree or a submodule, `.git` is a file that contains the path of the git folder. */
function gitFolder(dotGit: string): string {
  if (statSync(dotGit).isDirectory()) return dotGit;
  const [, folder] = /^gitdir: (.+?)\r?\n?$/.exec(readFileSync(dotGit, "utf8")) ?? [];
  const path = folder === undefined ? dotGit : resolve(dirname(dotGit), folder);
  if (!statSync(path).isDirectory()) throw new UnreadableIndexError();
  return path;
}

function readIfThere(path: string): Buffer | undefined {
  return existsSync(path) ? readFileSync(path) : undefined;
}

/** Ignores letter case, because some file systems do. The name of a folder ends with a slash and covers its files. */
function isListed(names: readonly string[], name: string): boolean {
  const wanted = normal(name);
  return names.some((each) => {
    const listed = normal(each);
    return listed === wanted || (listed.endsWith("/") && wanted.startsWith(listed));
  });
}

function normal(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

class UnreadableIndexError extends Error {}

const sha1Bytes = 20;
const sha256Bytes = 32;

/** Returns all names of an index (gitformat-index). For a split index, also those of the shared index it extends. */
function readIndex(bytes: Buffer, folder: string): readonly string[] {
  const { names, sharedIndex } = parseIndex(bytes, sha1Bytes) ?? parseIndex(bytes, sha256Bytes) ?? unreadable();
  if (sharedIndex === undefined) return names;
  // Includes entries that the split index deletes: such a file counts as tracked.
  return [...names, ...readIndex(readFileSync(join(folder, `sharedindex.${sharedIndex}`)), folder)];
}

function unreadable(): never {
  throw new UnreadableIndexError();
}

interface Index {
  readonly names: readonly string[];
  readonly sharedIndex: string | undefined;
}

/** Size of ten four-byte fields. The object id and two bytes of flags follow them. */
const statBytes = 40;
const isExtended = 0x4000;

/** Returns undefined unless the bytes are exactly an index with hashes of this length, without bytes left over. */
function parseIndex(bytes: Buffer, hashBytes: number): Index | undefined {
  const end = bytes.length - hashBytes;
  if (end < 12 || bytes.toString("latin1", 0, 4) !== "DIRC") return undefined;
  const version = bytes.readUInt32BE(4);
  if (version < 2 || version > 4) return undefined;
  const names: string[] = [];
  let at = 12;
  let previous: Buffer = Buffer.alloc(0);
  for (let left = bytes.readUInt32BE(8); left > 0; left--) {
    const start = at;
    at += statBytes + hashBytes;
    if (at + 2 > end) return undefined;
    at += (bytes.readUInt16BE(at) & isExtended) === 0 || version === 2 ? 2 : 4;
    let kept = 0;
    if (version === 4) {
      const cut = readVariableWidth(bytes, at);
      if (cut === undefined || cut.value > previous.length) return undefined;
      at = cut.next;
      kept = previous.length - cut.value;
    }
    const zero = bytes.indexOf(0, at);
    if (zero === -1 || zero >= end) return undefined;
    const name =
      kept === 0 ? bytes.subarray(at, zero) : Buffer.concat([previous.subarray(0, kept), bytes.subarray(at, zero)]);
    names.push(name.toString("utf8"));
    previous = name;
    // Up to version 3, zeros pad each entry to a multiple of eight bytes.
    at = version === 4 ? zero + 1 : start + Math.ceil((zero + 1 - start) / 8) * 8;
  }
  return readExtensions(bytes, { at, end, hashBytes, names });
}

/**
 * Reads git's variable-width number: how many bytes to cut from the previous name. Each byte has seven bits; every
 * continuation adds one.
 */
function readVariableWidth(bytes: Buffer, from: number): { readonly value: number; readonly next: number } | undefined {
  let value = 0;
  for (let at = from; at < bytes.length && value < bytes.length; at++) {
    const byte = bytes.readUInt8(at);
    value = (at === from ? 0 : (value + 1) * 128) + (byte & 0x7f);
    if (byte < 0x80) return { value, next: at + 1 };
  }
  return undefined;
}

interface ReadExtensionsParameters {
  readonly at: number;
  readonly end: number;
  readonly hashBytes: number;
  readonly names: readonly string[];
}

function readExtensions(
  bytes: Buffer,
  { end, hashBytes, names, ...start }: ReadExtensionsParameters,
): Index | undefined {
  let { at } = start;
  let sharedIndex: string | undefined;
  while (at + 8 <= end) {
    const name = bytes.toString("latin1", at, at + 4);
    const content = at + 8;
    at = content + bytes.readUInt32BE(at + 4);
    if (at > end) return undefined;
    const known = name === "link" || name === "sdir";
    if (!known && !/^[A-Z]/.test(name)) return undefined; // git rejects such unknown extensions
    if (name === "link") sharedIndex = bytes.toString("hex", content, content + hashBytes);
  }
  return at === end ? { names, sharedIndex: isZero(sharedIndex) ? undefined : sharedIndex } : undefined;
}

function isZero(hash: string | undefined): boolean {
  return hash === undefined || /^0+$/.test(hash);
}
