import fc from "fast-check";
import type { JsonObject, JsonValue } from "../../src/core/json.ts";

const hardPieces = [
  '"',
  '": ',
  ": ",
  "\\",
  "\\u0041",
  "<",
  "&",
  "\n",
  "\r\n",
  "\b",
  "\f",
  "\u007f",
  "\u2028",
  "é",
  "😀",
];

/** Any text without halves of surrogate pairs, rich in what serialisers disagree on. */
export const arbitraryText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(fc.constantFrom(...hardPieces), { maxLength: 6 }).map((pieces) => pieces.join("")),
);

const arbitraryScalar: fc.Arbitrary<JsonValue> = fc.oneof(
  arbitraryText,
  fc.boolean(),
  fc.constant(null),
  fc.maxSafeInteger(),
  // JSON.stringify writes -0 as 0, and large integers with digits that a strict parser takes for rounded.
  fc.double({ noNaN: true, min: -1, max: 1 }).filter((number) => !Object.is(number, -0)),
);

const arbitraryKey = fc
  .oneof(arbitraryText, fc.constantFrom("10", "9", "01", "4294967294", "4294967295", "a", "B", "_", "\uff5e"))
  // Refused by our parser, and left unsorted by the official SDKs: both have tests of their own.
  .filter((key) => key !== "__proto__" && key !== "constructor");

const knownFields = fc.record(
  {
    runner: fc.constantFrom("docker-compose", "nerdctl-compose", "bash"),
    manifest_version: fc.nat(4),
    name: arbitraryText,
    bash_script: arbitraryText,
    pre_launch_script: fc.oneof(fc.constant(""), arbitraryText),
    allowed_envs: fc.array(fc.constantFrom("A", "B", "_c1")),
    features: fc.array(arbitraryText, { maxLength: 2 }),
    public_logs: fc.boolean(),
    public_tcbinfo: fc.boolean(),
    kms_enabled: fc.boolean(),
    storage_fs: fc.constantFrom("zfs", "ext4"),
  },
  { requiredKeys: [] },
);

/** Manifests that the cloud SDK accepts: known fields of their type, and unknown ones of any. */
export const arbitraryAppCompose = manifestsWith(arbitraryKey);

/** Those whose keys JSON need not escape, for use where `JSON.parse` reads them (see nodejs/node#63785). */
export const arbitraryPlainAppCompose = manifestsWith(
  arbitraryKey.filter((key) => JSON.stringify(key).length === key.length + 2),
);

function manifestsWith(key: fc.Arbitrary<string>): fc.Arbitrary<JsonObject> {
  const { object } = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      arbitraryScalar,
      fc.array(tie("value"), { maxLength: 4 }),
      tie("object"),
    ),
    object: fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  }));
  return fc
    .tuple(object, arbitraryText, knownFields)
    .map(([unknown, docker_compose_file, known]) => ({ ...unknown, docker_compose_file, ...known }));
}
