import { createHash } from "node:crypto";
import type { TcbInfo } from "../../cloud/protocol.ts";
import { type Hex, withoutPrefix } from "../../core/ids.ts";
import type { CvmView } from "./view-cvm.ts";

/** The event type under which dstack logs what it measures itself. */
const dstackEventType = 0x08000001;

/**
 * What a guest of this CVM would attest. No hardware measured anything: the image's registers are stand-ins. The log
 * of events is real, so replaying it gives `rtmr3`, as a verifier does.
 */
export function measureGuest({ cvm, osImage }: CvmView): TcbInfo {
  const imageHash = osImage?.osImageHash ?? "0x";
  const events = [
    ["system-preparing", ""],
    ["app-id", withoutPrefix(cvm.appId)],
    ["compose-hash", withoutPrefix(cvm.composeHash)],
    ["instance-id", withoutPrefix(cvm.instanceId)],
    ["os-image-hash", withoutPrefix(imageHash)],
    ["system-ready", ""],
  ] as const;
  const event_log = events.map(([event, payload]) => ({
    imr: 3,
    event_type: dstackEventType,
    digest: digestEvent(event, payload),
    event,
    event_payload: payload,
  }));
  return {
    mrtd: standIn("mrtd", imageHash),
    rootfs_hash: withoutPrefix(imageHash),
    rtmr0: standIn("rtmr0", imageHash),
    rtmr1: standIn("rtmr1", imageHash),
    rtmr2: standIn("rtmr2", imageHash),
    rtmr3: event_log.reduce((register, { digest }) => extend(register, digest), "00".repeat(48)),
    event_log,
    app_compose: cvm.composeText,
  };
}

/** SHA-384 over type (little-endian), name and payload, joined by colons. */
function digestEvent(event: string, payload: string): string {
  const type = Buffer.alloc(4);
  type.writeUInt32LE(dstackEventType);
  return createHash("sha384").update(type).update(`:${event}:`).update(Buffer.from(payload, "hex")).digest("hex");
}

function extend(register: string, digest: string): string {
  return createHash("sha384")
    .update(Buffer.from(register + digest, "hex"))
    .digest("hex");
}

function standIn(name: string, imageHash: Hex): string {
  return createHash("sha384").update(`${name} ${imageHash}`).digest("hex");
}
