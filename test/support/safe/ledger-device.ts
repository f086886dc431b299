import { createRequire } from "node:module";
import { concat, type Hex, hexToBytes, keccak256, toHex } from "viem";
import { privateKeyToAccount, sign } from "viem/accounts";

/** A wallet that shows only the two hashes of typed data, as the smaller Ledger devices do. */
export interface LedgerDevice {
  /** What it has shown before each signature. */
  readonly shown: { readonly domainHash: Hex; readonly messageHash: Hex }[];
  /** Whether its user refuses. */
  refuses: boolean;
  /** Takes it away from the plugin. */
  remove(): void;
}

interface Transports {
  create(): Promise<object>;
}

const require = createRequire(createRequire(import.meta.url).resolve("@nomicfoundation/hardhat-ledger/package.json"));
const ok = Buffer.from([0x90, 0x00]);
const unknownInstruction = Buffer.from([0x6d, 0x00]);
const refused = Buffer.from([0x69, 0x85]);
const getAddress = 0x02;
const signTypedDataHashes = 0x0c;

/**
 * Puts a simulated device in the place of the USB port. It speaks the device's protocol (APDU) with the code of Ledger
 * and of Hardhat's plugin, which are the real ones.
 *
 * @param key of the second account, m/44'/60'/1'/0/0
 */
export function plugInLedger(key: Hex): LedgerDevice {
  const port: Transports = require("@ledgerhq/hw-transport-node-hid").default;
  const Transport: new () => object = require("@ledgerhq/hw-transport").default;
  const create = port.create;
  const device: LedgerDevice = { shown: [], refuses: false, remove: () => void Object.assign(port, { create }) };

  async function exchange(apdu: Buffer): Promise<Buffer> {
    const [instruction, data] = [apdu[1], apdu.subarray(5)];
    const path = 1 + 4 * (data[0] ?? 0);
    const account = data.length >= path ? data.readUInt32BE(9) - 0x80000000 : undefined;
    if (instruction === getAddress) {
      const { address, publicKey } = privateKeyToAccount(account === 1 ? key : keccak256(toHex(`${account}`)));
      const digits = Buffer.from(address.slice(2), "ascii");
      return Buffer.concat([Buffer.from([65]), hexToBytes(publicKey), Buffer.from([digits.length]), digits, ok]);
    }
    if (instruction !== signTypedDataHashes || data.length !== path + 64) return unknownInstruction;
    const [domainHash, messageHash] = [data.subarray(path, path + 32), data.subarray(path + 32)].map((part) =>
      toHex(part),
    );
    if (domainHash === undefined || messageHash === undefined) return unknownInstruction;
    device.shown.push({ domainHash, messageHash });
    if (device.refuses) return refused;
    const { r, s, v } = await sign({ hash: keccak256(concat(["0x1901", domainHash, messageHash])), privateKey: key });
    return Buffer.concat([Buffer.from([Number(v)]), hexToBytes(r), hexToBytes(s), ok]);
  }
  const open = async () =>
    Object.assign(new Transport(), { exchange, close: async () => {}, setScrambleKey: () => {} });
  Object.assign(port, { create: open });
  return device;
}
