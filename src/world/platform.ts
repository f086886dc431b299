import { sha256, stringToHex } from "viem";
import { type DeviceId, type Hex, parseDeviceId } from "../core/ids.ts";

/** A machine CVMs run on. */
export interface WorldNode {
  readonly id: number;
  readonly name: string;
  readonly deviceId: DeviceId;
}

/** A guest operating system CVMs boot. */
export interface WorldOsImage {
  readonly name: string;
  readonly version: string;
  readonly hash: Hex;
  readonly isDev: boolean;
}

export const worldNodes = [node(1, "node-1"), node(2, "node-2")] as const;

/** The first one is what a new CVM boots when nobody says otherwise. */
export const worldOsImages = [
  osImage("dstack-0.5.7", "0.5.7"),
  osImage("dstack-0.5.6", "0.5.6"),
  { ...osImage("dstack-dev-0.5.7", "0.5.7"), isDev: true },
] as const;

function node(id: number, name: string): WorldNode {
  return { id, name, deviceId: parseDeviceId(sha256(stringToHex(name))) };
}

function osImage(name: string, version: string): WorldOsImage {
  return { name, version, hash: sha256(stringToHex(name)), isDev: false };
}
