import { createHash, timingSafeEqual } from "node:crypto";
import { BlockList } from "node:net";
import type { FastifyInstance } from "fastify";
import { InvalidArgumentError } from "../../errors/index.ts";
import { ApiError } from "../errors.ts";

export const adminKeyHeader = "X-Admin-Key";

const shortestKey = 16;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
loopback.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

/** @throws InvalidArgumentError */
export function checkAdminKey(key: string): string {
  if (key.length < shortestKey) throw new InvalidArgumentError(`An admin key has at least ${shortestKey} characters.`);
  return key;
}

/**
 * Lets only programs of this machine past, and of these only who has the key. Both count: a page in a browser is on
 * this machine too, and cannot know the key.
 */
export function registerAdminGuard(app: FastifyInstance, key: string): void {
  const expected = digest(key);
  app.addHook("onRequest", async (request) => {
    if (!isLoopback(request.socket.remoteAddress)) {
      throw new ApiError(403, undefined, "Only callers on the same machine may use the admin endpoints.");
    }
    const given = request.headers[adminKeyHeader.toLowerCase()];
    if (typeof given !== "string" || !timingSafeEqual(digest(given), expected)) {
      throw new ApiError(401, undefined, `Invalid or missing ${adminKeyHeader}.`);
    }
  });
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  return loopback.check(address, address.includes(":") ? "ipv6" : "ipv4");
}

/** Keys of any length become bytes of one length, which comparing in constant time needs. */
function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
