import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

interface Platform {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

/** This package's folder for files that may be deleted at any time, where the platform keeps such files. */
export function cacheDirectory(
  of: Platform = { platform: process.platform, env: process.env, home: homedir() },
): string {
  const { platform, env, home } = of;
  if (platform === "darwin") return join(home, "Library", "Caches", "dstack-toolkit");
  if (platform === "win32") return join(env.LOCALAPPDATA || join(home, "AppData", "Local"), "dstack-toolkit", "Cache");
  // The XDG specification: a relative path is invalid and ignored.
  const { XDG_CACHE_HOME: named = "" } = env;
  return join(isAbsolute(named) ? named : join(home, ".cache"), "dstack-toolkit");
}
