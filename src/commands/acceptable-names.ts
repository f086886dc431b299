// Kept free of imports, because Hardhat loads these names with every command, for --help.

/** The commands that take `--accept`. `kms` stands for every change of a KMS. */
export type AcceptingCommand =
  | (typeof changesOfApp)[number]
  | "owner transfer"
  | "owner accept"
  | "app deploy"
  | "app upgrade"
  | "kms"
  | "hash"
  | "boot-check"
  | "timelock cancel";

export interface AcceptableName {
  /** Kebab-case, as `--accept` takes it. */
  readonly name: string;
  /** The refusal that the name overrides, as one sentence for docs/operator.md. */
  readonly overrides: string;
  readonly commands: readonly AcceptingCommand[];
}

const changesOfApp = [
  ...(["hash add", "hash remove", "hash revoke", "device add", "device remove", "device allow-any"] as const),
  ...(["update", "prune"] as const),
] as const;

/** Every name that `--accept` takes. The last ones are rules of the linter. */
export const acceptableNames = [
  {
    name: "in-use",
    overrides: "A CVM runs the hash or moves to it, a prepared update waits for it, or a CVM is on the device.",
    commands: ["hash add", "hash remove", "hash revoke", "device remove", "device allow-any"],
  },
  {
    name: "last-hash",
    overrides: "No other hash is known to be allowed, so no CVM of the app could boot.",
    commands: ["hash revoke"],
  },
  {
    name: "revoked-hash",
    overrides: "This project has revoked the hash.",
    commands: ["hash add", "update"],
  },
  { name: "pinned", overrides: "The configuration pins the hash.", commands: ["hash add", "hash remove"] },
  {
    name: "running-hashes",
    overrides: "The task cannot learn which hashes the app's CVMs run.",
    commands: ["hash add", "hash remove", "prune"],
  },
  {
    name: "prepare-tokens",
    overrides: "The task cannot learn which hashes prepared updates wait for.",
    commands: ["hash add", "hash remove", "prune"],
  },
  {
    name: "running-devices",
    overrides: "The task cannot learn which CVM is on which device.",
    commands: ["device remove", "device allow-any"],
  },
  {
    name: "other-machines",
    overrides: "Machines may run that this cloud or this API key does not show.",
    commands: ["prune"],
  },
  {
    name: "queue",
    overrides: "The task cannot learn which calls wait in the Safe or the timelock that owns the app.",
    commands: ["prune"],
  },
  {
    name: "dependents",
    overrides: "Another pending operation of the timelock waits for the one to cancel, or may.",
    commands: ["timelock cancel"],
  },
  {
    name: "events",
    overrides: "An index, and not the chain, says when the hashes were added.",
    commands: ["prune"],
  },
  {
    name: "history",
    overrides: "The history does not show when every hash was added, or may lack hashes.",
    commands: ["prune", "app upgrade"],
  },
  {
    name: "unproven-layout",
    overrides: "No source shows that the storage of the new implementation continues that of the app.",
    commands: ["app upgrade"],
  },
  {
    name: "unsimulated-upgrade",
    overrides: "The endpoint cannot simulate what the app would answer after the upgrade.",
    commands: ["app upgrade", "app deploy"],
  },
  {
    name: "proof",
    overrides: "With `--prove`: the list may have a hash that no event names.",
    commands: ["prune"],
  },
  {
    name: "no-effect",
    overrides: "The change would change nothing: it costs more than a real change and logs an event that is not true.",
    commands: ["hash add", "hash remove", "device add", "device remove", "device allow-any"],
  },
  {
    name: "key-epochs",
    overrides: "The contract approves per key epoch, or may: the task then reads and changes app epoch 0 alone.",
    commands: [...changesOfApp, "app deploy", "app upgrade", "kms", "hash", "boot-check"],
  },
  {
    name: "unproven-key",
    overrides: "No trusted KMS has signed the key of the environment for an app that the user named.",
    commands: ["update"],
  },
  {
    name: "unproven-document",
    overrides: "The app's contract does not allow the document that the update starts from.",
    commands: ["update"],
  },
  {
    name: "unproven-revision",
    overrides:
      "The app's contract does not allow the compose hash of the revision, and never allowed it as far as is known.",
    commands: ["update"],
  },
  {
    name: "removed-revision",
    overrides: "The owner has removed the compose hash of the revision from the app's list.",
    commands: ["update"],
  },
  {
    name: "empty-values",
    overrides: "All values of the new environment are empty.",
    commands: ["update"],
  },
  {
    name: "unknown-compose-key",
    overrides: "The compose file has keys that the known Compose Specification does not have.",
    commands: ["update"],
  },
  {
    name: "owner-cannot-sign",
    overrides: "The owner or the pending owner is an address that cannot sign.",
    commands: [...changesOfApp, "owner transfer", "owner accept", "app deploy", "app upgrade"],
  },
  {
    name: "unused-owner",
    overrides: "The new owner has no code, no transaction and no balance on this chain.",
    commands: ["owner transfer"],
  },
  {
    name: "unknown-contract",
    overrides: "The transfer takes effect at once, and the new owner is neither a key, a Safe nor a timelock.",
    commands: ["owner transfer"],
  },
  {
    name: "unread-owner",
    overrides: "The transfer takes effect at once, and the accounts behind the new owner are too many to examine.",
    commands: ["owner transfer"],
  },
  {
    name: "timelock-unproven",
    overrides: "The transfer takes effect at once, and the endpoint does not show who may propose in the timelock.",
    commands: ["owner transfer"],
  },
  {
    name: "timelock-delay",
    overrides: "The delay of the timelock is more than a year.",
    commands: ["owner transfer"],
  },
  {
    name: "upgrade-loses-policy",
    overrides: "The app is of 0.4.2 to 0.5.3, and code of a later release does not find its policy.",
    commands: ["app upgrade"],
  },
  {
    name: "remove-device-without-effect",
    overrides: "The app allows any device, so the removal of one has no effect.",
    commands: ["device remove"],
  },
  {
    name: "hash-of-nothing",
    overrides: "The hash or device id is the digest of an empty text.",
    commands: ["hash add", "device add", "app deploy", "kms"],
  },
  {
    name: "zero-value",
    overrides: "The hash or device id is zero.",
    commands: ["hash add", "device add", "app deploy", "kms"],
  },
  {
    name: "short-value",
    overrides: "The hash or device id is a shorter value that was padded with zeros.",
    commands: ["hash add", "device add", "app deploy", "kms"],
  },
  {
    name: "image-from-variable",
    overrides:
      "A variable of allowed_envs names an image, a build or another file, so the compose hash does not determine the code.",
    commands: ["update"],
  },
] as const satisfies readonly AcceptableName[];

/** The names that a command takes. */
export function namesToAccept(command: AcceptingCommand): readonly string[] {
  const rows: readonly AcceptableName[] = acceptableNames;
  return rows.filter(({ commands }) => commands.includes(command)).map(({ name }) => name);
}
