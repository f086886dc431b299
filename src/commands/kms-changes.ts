/** A change of a KMS by its owner: the task's words and the contract's function. Plain data, as every start loads it. */
export interface KmsChange {
  /** Name of the task below `dstack kms`. */
  readonly name: string;
  readonly description: string;
  /** What the task says of its argument. */
  readonly argument: string;
  /** The value, as error messages name it. */
  readonly what: string;
  /** Width of the value. */
  readonly bytes: 20 | 32;
  readonly functionName: string;
  /** What the user must know before they agree. */
  readonly warning: string;
  /** Whether the value must be the address of a contract. */
  readonly needsCode?: boolean;
}

const osImage = { argument: "Hash of the OS image", what: "The OS image hash", bytes: 32 } as const;
const device = { argument: "Device id", what: "The device id", bytes: 32 } as const;
const measurement = { argument: "Aggregated measurement", what: "The aggregated measurement", bytes: 32 } as const;

export const kmsChanges: readonly KmsChange[] = [
  {
    ...osImage,
    name: "add-os-image",
    description: "Allows an OS image for every app of a KMS",
    functionName: "addOsImageHash",
    warning: "Every app of this KMS may boot this OS image then.",
  },
  {
    ...osImage,
    name: "remove-os-image",
    description: "Takes an OS image off the list of a KMS, for every app",
    functionName: "removeOsImageHash",
    warning: "NO APP of this KMS boots this OS image any more, from the next start of each CVM on.",
  },
  {
    ...device,
    name: "add-device",
    description: "Allows a device to run nodes of a KMS",
    functionName: "addKmsDevice",
    warning: "KMS nodes, which hold the keys of all apps, may run on this device then.",
  },
  {
    ...device,
    name: "remove-device",
    description: "Takes a device of KMS nodes off the list",
    functionName: "removeKmsDevice",
    warning: "KMS nodes do not start on this device any more; those that run go on.",
  },
  {
    ...measurement,
    name: "add-measurement",
    description: "Allows nodes of a KMS with this measurement",
    functionName: "addKmsAggregatedMr",
    warning: "KMS nodes with this measurement get the keys of all apps then.",
  },
  {
    ...measurement,
    name: "remove-measurement",
    description: "Takes a measurement of KMS nodes off the list",
    functionName: "removeKmsAggregatedMr",
    warning: "KMS nodes with this measurement do not start any more; those that run go on.",
  },
  {
    argument: "Address of the code",
    what: "The implementation's address",
    bytes: 20,
    name: "set-app-implementation",
    description: "Chooses the code of apps that a KMS creates from now on",
    functionName: "setAppImplementation",
    warning: "Apps created from now on run this code. Those that exist keep theirs.",
    needsCode: true,
  },
];
