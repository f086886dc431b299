import { lstat } from "node:fs/promises";
import { type DstackError, UnusableFileError } from "../errors/index.ts";
import { faultCode, unusable, writeWholeFile } from "./own-file.ts";
import { readBoundedText } from "./read-bounded.ts";

/** A kind of file that users keep and pass to each other. */
export interface DocumentKind {
  /** The error for a file that cannot be read or written. Its problem ends the sentence "… is not usable: …". */
  readonly Unusable: new (
    path: string,
    problem: string,
    options?: { readonly cause?: unknown },
  ) => DstackError;
  readonly maxBytes: number;
  /** Whether a link is followed. It could lead to another file after the user has looked at it. */
  readonly mayBeLink: boolean;
  /** Whether a text is of this kind, of any version. */
  readonly isOne: (text: string) => boolean;
}

/** Reads the text of a document. Undefined if there is no such file. */
export async function readDocument(path: string, kind: DocumentKind): Promise<string | undefined> {
  const { Unusable, maxBytes, mayBeLink } = kind;
  try {
    if (!mayBeLink && (await lstat(path)).isSymbolicLink()) throw new UnusableFileError(path, "it is a symbolic link");
    return await readBoundedText(path, maxBytes);
  } catch (error) {
    const cause = unusable(path, error);
    if (faultCode(cause.cause) === "ENOENT") return undefined;
    throw new Unusable(path, `${cause.context.problem}`, { cause });
  }
}

/** Reads the text of a document that must exist. */
export async function requireDocument(path: string, kind: DocumentKind): Promise<string> {
  const text = await readDocument(path, kind);
  if (text === undefined) throw new kind.Unusable(path, "there is no such file");
  return text;
}

/** Writes a document for this user alone. Overwrites an older document of its kind, but no other file. */
export async function writeDocument(path: string, text: string, kind: DocumentKind): Promise<void> {
  const { Unusable, isOne, maxBytes } = kind;
  const older = await readDocument(path, kind);
  if (older !== undefined && !isOne(older))
    throw new Unusable(path, "it holds something else, and was not overwritten");
  if (Buffer.byteLength(text) > maxBytes)
    throw new Unusable(path, "it would be too large to be read again: plan fewer changes");
  await writeWholeFile(path, text, { mode: 0o600 }).catch((cause: unknown) => {
    const why = cause instanceof UnusableFileError ? `: ${cause.context.problem}` : "";
    throw new Unusable(path, `it cannot be written${why}`, { cause });
  });
}
