import { MissingPackageError } from "../errors/input.ts";

interface EntryWithPeer {
  /** The entry point as users import it. */
  readonly entry: string;
  /** The optional peer dependency that it needs. */
  readonly peer: string;
  /** A file that the peer has, for a peer that cannot be imported itself. */
  readonly file?: string;
  /** The release that the user must install. */
  readonly release?: string;
}

/**
 * Imports an entry point whose peer dependency the user may not have installed. The build puts this function in front
 * of such entry points. They cannot check for the peer themselves, because Node resolves imports before any code runs.
 */
export async function importWithPeer<Entry>(
  { entry, peer, file, release }: EntryWithPeer,
  load: () => Promise<Entry>,
): Promise<Entry> {
  try {
    // Some entry points import their peer only when they use it. Some test runners lack this function.
    import.meta.resolve?.(file === undefined ? peer : `${peer}/${file}`);
    return await load();
  } catch (error) {
    if (isNotFound(error, peer)) throw new MissingPackageError(entry, peer, release);
    throw error;
  }
}

function isNotFound(error: unknown, peer: string): boolean {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  return (
    (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") &&
    [`'${peer}'`, `'${peer}/`].some((name) => String(message).includes(name))
  );
}
