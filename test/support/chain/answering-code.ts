import { concat, type Hex, numberToHex, size, toFunctionSelector } from "viem";

/**
 * Runtime code of a contract that answers each of these function signatures with the given bytes and reverts on
 * others: old versions and impostors without a Solidity file each.
 */
export function answeringCode(answers: Readonly<Record<string, Hex>>): Hex {
  const entries = Object.entries(answers);
  let code: Hex = "0x5f3560e01c"; // CALLDATALOAD(0) >> 224: the selector
  let dataStart = size(code) + entries.length * 26 + 3;
  for (const [signature, data] of entries) {
    const next = numberToHex(size(code) + 25, { size: 2 });
    const isOther: Hex[] = ["0x8063", toFunctionSelector(signature), "0x1415"]; // DUP1, PUSH4, EQ, ISZERO
    code = concat([code, ...isOther, "0x61", next, "0x57", copyOut(data, dataStart, "0xf3"), "0x5b"]); // JUMPI … JUMPDEST
    dataStart += size(data);
  }
  return concat([code, "0x5f5ffd", ...Object.values(answers)]);
}

/** Runtime code of a contract that reverts every call with the given bytes. */
export function revertingCode(data: Hex): Hex {
  return concat([copyOut(data, 13, "0xfd"), data]);
}

/** 13 bytes: copies the data at `start` of the code into memory and ends with RETURN (f3) or REVERT (fd). */
function copyOut(data: Hex, start: number, ending: Hex): Hex {
  const length = numberToHex(size(data), { size: 2 });
  return concat(["0x61", length, "0x61", numberToHex(start, { size: 2 }), "0x5f39", "0x61", length, "0x5f", ending]);
}
