import { type Hex, isHex, keccak256, toRlp } from "viem";

// In the order in which a header hashes them. Each fork has only added to the end, so the fields an answer lacks at the
// end are those of later forks.
const byteFields = ["parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"];
const quantityFields = ["difficulty", "number", "gasLimit", "gasUsed", "timestamp"];
const moreByteFields = ["extraData", "mixHash", "nonce"];
const laterFields = [
  { name: "baseFeePerGas", isQuantity: true },
  { name: "withdrawalsRoot", isQuantity: false },
  { name: "blobGasUsed", isQuantity: true },
  { name: "excessBlobGas", isQuantity: true },
  { name: "parentBeaconBlockRoot", isQuantity: false },
  { name: "requestsHash", isQuantity: false },
];

/** Hash of the header in an `eth_getBlockBy…` answer, computed from its fields. Undefined if one is missing. */
export function hashHeader(block: Readonly<Record<string, unknown>>): Hex | undefined {
  const later = laterFields.filter(({ name }) => block[name] !== undefined && block[name] !== null);
  const fields = [
    ...byteFields.map((name) => block[name]),
    ...quantityFields.map((name) => quantityBytes(block[name])),
    ...moreByteFields.map((name) => block[name]),
    ...later.map(({ name, isQuantity }) => (isQuantity ? quantityBytes(block[name]) : block[name])),
  ];
  return fields.every((field): field is Hex => isHex(field)) ? keccak256(toRlp(fields)) : undefined;
}

/** The shortest bytes of a number: none for zero. */
export function quantityBytes(value: unknown): Hex | undefined {
  if (!isHex(value)) return undefined;
  const digits = value.slice(2).replace(/^0+/, "");
  return `0x${digits.length % 2 === 0 ? "" : "0"}${digits}`;
}
