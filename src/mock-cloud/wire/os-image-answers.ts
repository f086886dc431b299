import type { AvailableOsImages } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import type { OsImage } from "../store/platform.ts";

type Entry = AvailableOsImages[number];

/** The images a CVM can boot, each production image beside its development variant, newest first. */
export function toAvailableOsImages(images: readonly OsImage[], current: string): AvailableOsImages {
  const entries = new Map<string, Entry>();
  for (const { name, version, osImageHash, isDev } of images) {
    const family = name.replace("-dev", "");
    const entry = entries.get(family) ?? { version: readVersion(version), prod: null, dev: null };
    const variant = { name, os_image_hash: withoutPrefix(osImageHash), is_current: name === current };
    entries.set(family, isDev ? { ...entry, dev: variant } : { ...entry, prod: variant });
  }
  return [...entries.values()].sort((one, other) => compare(other.version, one.version));
}

/** Three or four numbers; what is missing counts as zero. */
function readVersion(version: string): Entry["version"] {
  const [major = 0, minor = 0, patch = 0, build] = (version.match(/\d+/g) ?? []).map(Number);
  return build === undefined ? [major, minor, patch] : [major, minor, patch, build];
}

function compare(one: Entry["version"], other: Entry["version"]): number {
  const at = [0, 1, 2, 3].find((index) => (one[index] ?? 0) !== (other[index] ?? 0));
  return at === undefined ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
}
