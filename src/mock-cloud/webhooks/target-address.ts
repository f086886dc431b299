import { lookup } from "node:dns";
import { BlockList, isIPv4, isIPv6, type LookupFunction } from "node:net";

/** The event is not sent, because its target is an address that only this machine's network can reach. */
export class ForbiddenTargetError extends Error {
  override readonly name = "ForbiddenTargetError";
  constructor(address: string) {
    super(`${address} is not a public address, and this mock cloud was started without private webhooks.`);
  }
}

/** Address ranges that are not public or that only a cloud's own machines reach, except loopback. */
const forbidden = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8], // this host, unspecified
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // shared by carriers; also a cloud's metadata service
  ["169.254.0.0", 16], // link-local; the metadata service of most clouds
  ["168.63.129.16", 32], // Azure's platform service; registered as public
  ["172.16.0.0", 12],
  ["192.0.0.0", 24], // protocol assignments; also a cloud's metadata service
  ["192.0.2.0", 24], // documentation
  ["192.168.0.0", 16],
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, broadcast
] as const)
  forbidden.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [
  ["::", 128], // unspecified
  ["64:ff9b:1::", 48], // local translation to IPv4
  ["100::", 64], // discard
  ["2001::", 32], // Teredo, which wraps IPv4
  ["2001:db8::", 32], // documentation
  ["fc00::", 7], // unique local; also a cloud's metadata service
  ["fe80::", 10], // link-local
  ["fec0::", 10], // site-local
  ["ff00::", 8], // multicast
] as const)
  forbidden.addSubnet(network, prefix, "ipv6");

/** It is written like an address that carries an IPv4 one. */
const loopback = "0:0:0:0:0:0:0:1";

/** IPv6 ranges that contain an IPv4 address. `group` is the first of the two groups that hold it. */
const wrappers = [
  { list: subnet("::", 96), group: 6 }, // compatible
  { list: subnet("::ffff:0:0", 96), group: 6 }, // mapped
  { list: subnet("::ffff:0:0:0", 96), group: 6 }, // translated
  { list: subnet("64:ff9b::", 96), group: 6 }, // translated by a gateway
  { list: subnet("2002::", 16), group: 1 }, // 6to4
];

/**
 * @param host host of a URL: an address (IPv6 in brackets) or a name; a name is allowed here and checked when it is
 * resolved
 */
export function isForbiddenHost(host: string): boolean {
  return isForbiddenAddress(host.replace(/^\[(.*)\]$/, "$1"));
}

/** Checks the resolved addresses of a name when the connection is made, because the DNS answer may change. */
export const lookupAllowed: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, "", 0);
    const wrong = addresses.find(({ address }) => isForbiddenAddress(address));
    if (wrong) return callback(new ForbiddenTargetError(wrong.address), "", 0);
    const [first] = addresses;
    if (options.all) callback(null, addresses);
    else callback(null, first?.address ?? "", first?.family ?? 0);
  });
};

function isForbiddenAddress(address: string): boolean {
  if (isIPv4(address)) return forbidden.check(address, "ipv4");
  if (!isIPv6(address)) return false;
  const [plain = ""] = address.split("%");
  const groups = groupsOf(plain);
  if (groups.join(":") === loopback) return false;
  const place = wrappers.find(({ list }) => list.check(plain, "ipv6"))?.group ?? (isIsatap(groups) ? 6 : undefined);
  return forbidden.check(plain, "ipv6") || (place !== undefined && forbidden.check(wrappedIn(groups, place), "ipv4"));
}

/** An interface's address whose last half says that it is an IPv4 address. */
function isIsatap(groups: readonly number[]): boolean {
  return (groups[4] === 0 || groups[4] === 0x200) && groups[5] === 0x5efe;
}

/** The eight groups of an IPv6 address in any notation. */
function groupsOf(address: string): number[] {
  // The URL parser returns the short form, without an IPv4 part.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const left = head.split(":").filter(Boolean);
  const right = (tail ?? "").split(":").filter(Boolean);
  const zeros = Array<string>(8 - left.length - right.length).fill("0");
  return [...left, ...zeros, ...right].map((digits) => Number.parseInt(digits, 16));
}

/** The two groups from `group` on, as an IPv4 address. */
function wrappedIn(groups: readonly number[], group: number): string {
  return groups
    .slice(group, group + 2)
    .flatMap((value) => [value >> 8, value & 255])
    .join(".");
}

function subnet(network: string, prefix: number): BlockList {
  const list = new BlockList();
  list.addSubnet(network, prefix, "ipv6");
  return list;
}
