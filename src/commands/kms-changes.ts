/** A change of a KMS by its owner: the task's texts and the contract's function. Plain data, because every start loads it. */
export interface KmsChange {
  /** Name of the task below `dstack kms`. */
  readonly name: string;
  readonly description: string;
  /** Description of the task's argument. */
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
    warning: "Every app of this KMS may then boot this OS image.",
  },
  {
    ...osImage,
    name: "remove-os-image",
    description: "Removes an OS image from the list of a KMS, for every app",
    functionName: "removeOsImageHash",
    warning: "NO APP of this KMS can then boot this OS image. Running CVMs continue until they restart.",
  },
  {
    ...device,
    name: "add-device",
    description: "Allows a device to run nodes of a KMS",
    functionName: "addKmsDevice",
    warning: "KMS nodes may then run on this device. They hold the keys of all apps.",
  },
  {
    ...device,
    name: "remove-device",
    description: "Removes a device from the KMS nodes' list",
    functionName: "removeKmsDevice",
    warning: "KMS nodes can then no longer start on this device. Running nodes continue.",
  },
  {
    ...measurement,
    name: "add-measurement",
    description: "Allows nodes of a KMS with this measurement",
    functionName: "addKmsAggregatedMr",
    warning: "KMS nodes with this measurement then receive the keys of all apps.",
  },
  {
    ...measurement,
    name: "remove-measurement",
    description: "Removes a measurement from the KMS nodes' list",
    functionName: "removeKmsAggregatedMr",
    warning: "KMS nodes with this measurement can then no longer start. Running nodes continue.",
  },
  {
    argument: "Address of the implementation",
    what: "The implementation's address",
    bytes: 20,
    name: "set-app-implementation",
    description: "Sets the implementation of apps that a KMS creates from now on",
    functionName: "setAppImplementation",
    warning: "Apps created from now on run this code. Existing apps keep their code.",
    needsCode: true,
  },
];
