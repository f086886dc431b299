import type { LintedOwner, LintProblem, LintRule, LintSubject } from "./rule.ts";

export const appIsKms: LintRule = {
  name: "app-is-kms",
  severity: "error",
  isFinal: true,
  summary: "The address given as the app is a DstackKms.",
  check: ({ app, kms }) =>
    app !== undefined && (app.isKms || app.appId.toLowerCase() === kms?.address.toLowerCase())
      ? [{ message: `${app.appId} is a DstackKms, not an app.`, advice: "Give the address of the app's own contract." }]
      : [],
};

/** Advice for an app with `appId()`. It replaces any advice to upgrade. */
export const doNotUpgrade =
  "Do not upgrade: the app is of v0.4.2 to v0.5.3, and later code would not find its hashes, devices and switches.";

export const upgradeLosesPolicy: LintRule = {
  name: "upgrade-loses-policy",
  severity: "error",
  summary: "The app is of v0.4.2 to v0.5.3 (it has `appId()`): an upgrade to later code would lose its whole policy.",
  check: ({ app, calls }) => {
    const shiftedAppId = app?.policy?.shiftedAppId;
    if (shiftedAppId === undefined) return [];
    const isUpgraded = calls?.some(({ functionName }) => functionName === "upgradeToAndCall") === true;
    return [
      {
        message: isUpgraded
          ? "The upgrade would succeed, but afterwards the app would allow nothing."
          : `The app stores its app id, ${shiftedAppId}, in the storage slot where later code expects its hashes.`,
        advice: `${doNotUpgrade} To use later code, deploy a new app.`,
        severity: isUpgraded ? "error" : "note",
      },
    ];
  },
};

/** Whether the app allows any device after the calls. Undefined if it is not known. */
function allowsAnyDevice({ app, calls = [] }: LintSubject): unknown {
  const switches = calls.filter(({ functionName }) => functionName === "setAllowAnyDevice");
  return switches.at(-1)?.args[0] ?? app?.policy?.allowAnyDevice;
}

export const anyDevice: LintRule = {
  name: "any-device",
  severity: "warning",
  summary: "The app allows any device, or is about to. Then every machine that the KMS accepts can boot the app.",
  check: (subject) => {
    if (allowsAnyDevice(subject) !== true) return [];
    const isNew = subject.calls?.some(({ functionName }) => functionName === "setAllowAnyDevice") === true;
    const who =
      "any machine that the KMS accepts, of any operator, can boot an allowed compose hash and gets the app's keys";
    return [
      {
        message: isNew ? `After this change, ${who}.` : `The app allows any device: ${who}.`,
        advice: "To allow only your own nodes, list their devices and switch to the list (`setAllowAnyDevice`).",
        severity: isNew ? "warning" : "note",
      },
    ];
  },
};

export const removeDeviceWithoutEffect: LintRule = {
  name: "remove-device-without-effect",
  severity: "error",
  summary: "A device is removed although the app allows any device, so the removal has no effect.",
  check: (subject) =>
    allowsAnyDevice(subject) !== true
      ? []
      : (subject.calls ?? [])
          .filter(({ functionName }) => functionName === "removeDevice")
          .map(({ args: [device] }) => ({
            message: `Removing device ${device} has no effect: the app allows any device.`,
            advice: "Stop allowing any device (`setAllowAnyDevice`) in the same batch or before it.",
          })),
};

export const implementationDrift: LintRule = {
  name: "implementation-drift",
  severity: "warning",
  summary: "The app's implementation is not the one that the KMS gives new apps.",
  check: ({ app, kms }) => {
    const { implementation, upgradesDisabled, shiftedAppId } = app?.policy ?? {};
    const current = kms?.appImplementation;
    if (implementation === undefined || current === undefined) return [];
    if (BigInt(current) === 0n || implementation.toLowerCase() === current.toLowerCase()) return [];
    const stays = upgradesDisabled === true || shiftedAppId !== undefined;
    const advice = upgradesDisabled ? "Upgrades are disabled, so the app's code cannot change." : doNotUpgrade;
    return [
      {
        message: `The app runs implementation ${implementation}; the KMS now deploys ${current}.`,
        advice: stays ? advice : "Compare the two, and upgrade if the newer one fixes a problem.",
        severity: stays ? "note" : "warning",
      },
    ];
  },
};

export const noCode: LintRule = {
  name: "no-code",
  severity: "error",
  isFinal: true,
  summary: "There is no contract at the app's address, so calls to it would succeed and do nothing.",
  check: ({ app }) =>
    app?.hasCode === false
      ? [{ message: `There is no contract at ${app.appId}.`, advice: "Check the address and the network." }]
      : [],
};

export const nothingBoots: LintRule = {
  name: "nothing-boots",
  severity: "warning",
  summary: "No compose hash or no device is allowed, so nothing can boot.",
  check: ({ app }) => {
    const { composeHashes, devices, allowAnyDevice } = app?.policy ?? {};
    const advice = "Allow one before the next restart.";
    return [
      ...(composeHashes?.length === 0 ? [{ message: "No compose hash is allowed: no CVM can boot.", advice }] : []),
      ...(allowAnyDevice === false && devices?.length === 0
        ? [{ message: "No device is allowed: no CVM can boot.", advice }]
        : []),
    ];
  },
};

export const ownerCannotSign: LintRule = {
  name: "owner-cannot-sign",
  severity: "error",
  summary: "The owner or the pending owner is an address that cannot act.",
  check: (subject) => {
    const { owner, pendingOwner } = subject.app?.policy ?? {};
    return [
      ...(owner === undefined ? [] : judge(subject, owner, "The owner")),
      ...(pendingOwner === undefined ? [] : judgePending(subject, pendingOwner)),
    ];
  },
};

/** Only a warning: if the pending owner cannot accept, nothing changes, and the current owner keeps all rights. */
function judgePending(subject: LintSubject, pending: LintedOwner): LintProblem[] {
  return judge(subject, pending, "The pending owner").map((problem) => ({ ...problem, severity: "warning" }));
}

function judge(subject: LintSubject, owner: LintedOwner, who: string): LintProblem[] {
  const { calls = [] } = subject;
  const { address, kind, isUsed } = owner;
  if (kind === "renounced") {
    const message = "The ownership was renounced, so no account can change this app.";
    return [
      { message, advice: "Deploy a new app to change anything.", severity: calls.length > 0 ? "error" : "warning" },
    ];
  }
  if (isAppOrKms(subject, address) || isKeyless(address)) {
    return [{ message: `${who} ${address} cannot sign.`, advice: "Transfer to an address whose key is known." }];
  }
  if (kind === "contract") {
    return [
      {
        message: `${who} ${address} is a contract, neither a Safe nor a timelock.`,
        advice: "Make sure that it can call the app before you depend on it.",
        severity: "warning",
      },
    ];
  }
  return isUsed === false
    ? [
        {
          message: `${who} ${address} has no transaction and no balance on this chain.`,
          advice: "Make sure that its owner has the key: send it a small amount and let the owner send it back.",
          severity: "warning",
        },
      ]
    : [];
}

function isAppOrKms({ app, kms }: LintSubject, address: string): boolean {
  return [app?.appId, kms?.address].some((contract) => contract?.toLowerCase() === address.toLowerCase());
}

/** Precompiles and well-known burn addresses. */
export function isKeyless(address: string): boolean {
  return BigInt(address) <= 0xffffn || /^0x(?:0{36}dead|dead0{32}dead|(.)\1{39})$/i.test(address);
}

export const eoaOwner: LintRule = {
  name: "eoa-owner",
  severity: "note",
  summary: "A single key controls the app.",
  check: ({ app }) =>
    app?.policy?.owner.kind === "eoa"
      ? [
          {
            message: "The owner is a single key. The holder of this key can change immediately what the app allows.",
            advice: "For production, transfer the app to a Safe or a timelock.",
          },
        ]
      : [],
};

export const cvmWouldNotBoot: LintRule = {
  name: "cvm-would-not-boot",
  severity: "warning",
  summary: "A CVM has a compose hash, or is on a device, that is no longer allowed: its next boot will be refused.",
  check: ({ app, cvms = [] }) => {
    const { composeHashes, devices, allowAnyDevice } = app?.policy ?? {};
    const lacks = (list: readonly string[] | undefined, value: string | undefined) =>
      list !== undefined && value !== undefined && !list.some((item) => item.toLowerCase() === value.toLowerCase());
    return cvms.flatMap(({ name, status, composeHash, deviceId, isHashAllowed, isDeviceListed }) => [
      ...((isHashAllowed === undefined ? lacks(composeHashes, composeHash) : !isHashAllowed)
        ? [
            {
              message: `${withStatus(name, status)} ${status === "running" ? "runs" : "has"} compose hash ${composeHash}, which is not allowed.`,
              advice: `${nextBoot(status)} Allow the hash, or update the CVM.`,
            },
          ]
        : []),
      ...(allowAnyDevice === false && (isDeviceListed === undefined ? lacks(devices, deviceId) : !isDeviceListed)
        ? [
            {
              message: `${withStatus(name, status)} ${status === "running" ? "runs" : "is"} on device ${deviceId}, which is not allowed.`,
              advice: `${nextBoot(status)} Allow the device.`,
            },
          ]
        : []),
    ]);
  },
};

export const devicesWithoutEffect: LintRule = {
  name: "devices-without-effect",
  severity: "note",
  summary: "The app lists devices, but allows any device.",
  check: ({ app }) => {
    const { allowAnyDevice, devices = [] } = app?.policy ?? {};
    return allowAnyDevice === true && devices.length > 0
      ? [
          {
            message: `The app allows any device, so its list of devices (${devices.length}) has no effect.`,
            advice: "When the list is complete, switch to it (`setAllowAnyDevice`).",
          },
        ]
      : [];
  },
};

export const oneStepOwner: LintRule = {
  name: "one-step-owner",
  severity: "note",
  summary:
    "The contract has no two-step transfers: a transfer takes effect immediately, without the new owner's consent.",
  check: ({ app, calls }) => {
    if (app?.policy?.isTwoStep !== false) return [];
    const isTransfer = calls?.some(({ functionName }) => functionName === "transferOwnership") === true;
    const { shiftedAppId, upgradesDisabled } = app.policy;
    const upgrade = "Upgrade the app to a version with two-step transfers before you transfer it.";
    const compare = "Upgrades are disabled, so compare the new owner's address with a second source before a transfer.";
    return [
      {
        message: "The ownership of this contract is transferred in one step, so a typo in the address loses the app.",
        severity: isTransfer ? "warning" : "note",
        advice: shiftedAppId !== undefined ? doNotUpgrade : upgradesDisabled ? compare : upgrade,
      },
    ];
  },
};

export const pendingOwner: LintRule = {
  name: "pending-owner",
  severity: "note",
  summary: "A transfer of the ownership was offered and not yet accepted.",
  check: ({ app }) =>
    app?.policy?.pendingOwner === undefined
      ? []
      : [
          {
            message: `${app.policy.pendingOwner.address} can accept the ownership at any time.`,
            advice: "Accept it (`acceptOwnership`), or transfer to the current owner to withdraw the offer.",
          },
        ],
};

/** A CVM, with its status unless it runs. */
function withStatus(name: string, status: string | undefined): string {
  return status === undefined || status === "running" ? name : `${name}, which is ${status},`;
}

function nextBoot(status: string | undefined): string {
  return status === "running" ? "It runs until it is restarted." : "Its next boot will be refused.";
}

/** Versions of guests, oldest first. */
type Version = readonly [major: number, minor: number, patch: number];

/** The first guests of each line that open their disk and environment after a rotation, and that use launch tickets. */
const rotationNeeds: Version = [0, 5, 14];
const ticketsNeed: Readonly<Record<number, Version>> = { 5: [0, 5, 15], 6: [0, 6, 5] };

export const guestTooOld: LintRule = {
  name: "guest-too-old-to-rotate",
  severity: "note",
  summary: "The guest OS of a CVM is too old for a rotation of the keys, or for launch tickets.",
  check: ({ cvms = [], kms }) =>
    cvms.flatMap(({ name, osVersion }) => {
      const version = parseVersion(osVersion);
      if (version === undefined) return [];
      const tickets = version[0] === 0 ? ticketsNeed[version[1]] : undefined;
      const severity = kms?.generation?.hasKeyEpochs ? "warning" : "note";
      if (isOlder(version, rotationNeeds)) {
        return {
          message: `${name} has guest OS ${osVersion}: after a rotation of the KMS's keys it opens neither its disk nor its environment.`,
          advice: `Move it to guest OS ${rotationNeeds.join(".")} or newer before an epoch is advanced.`,
          severity,
        };
      }
      return tickets !== undefined && isOlder(version, tickets)
        ? {
            message: `${name} has guest OS ${osVersion}, which cannot use launch tickets.`,
            advice: `Move it to guest OS ${tickets.join(".")} or newer before launch tickets are required.`,
          }
        : [];
    }),
};

function parseVersion(text: string | undefined): Version | undefined {
  const [, major, minor, patch] = /^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?![\d.])/.exec(text ?? "") ?? [];
  return patch === undefined ? undefined : [Number(major), Number(minor), Number(patch)];
}

function isOlder(version: Version, than: Version): boolean {
  const index = version.findIndex((part, at) => part !== than[at]);
  return index !== -1 && (version[index] ?? 0) < (than[index] ?? 0);
}

export const cannotFollowRotation: LintRule = {
  name: "cannot-follow-rotation",
  severity: "note",
  summary: "Upgrades of the app are, or will be, disabled: it can never follow a rotation of the KMS's keys.",
  check: ({ app, kms, calls = [] }) => {
    const isPlanned = calls.some(({ functionName }) => functionName === "disableUpgrades");
    if (!isPlanned && app?.policy?.upgradesDisabled !== true) return [];
    return [
      {
        message: `Upgrades of the app ${isPlanned ? "will be" : "are"} disabled for ever, so it cannot follow a rotation of the KMS's keys: it then gets none.`,
        advice: isPlanned
          ? "Leave upgrades possible, and give the ownership to a Safe or a timelock instead."
          : "Before the keys are rotated, deploy a new app and move its CVMs there.",
        severity: isPlanned || kms?.generation?.hasKeyEpochs ? "warning" : "note",
      },
    ];
  },
};

export const generationsDiffer: LintRule = {
  name: "generations-differ",
  severity: "warning",
  summary: "The app and its KMS are of generations that do not work together once key epochs are in use.",
  check: ({ app, kms }) => {
    const [ofApp, ofKms] = [app?.policy?.generation, kms?.generation];
    const areKnown = ofApp !== undefined && ofKms !== undefined && ofApp.id !== "unknown" && ofKms.id !== "unknown";
    if (!areKnown || ofApp.id === ofKms.id) return [];
    const isKmsNewer = ofApp.id === "first" || (ofApp.id === "0.6.4" && ofKms.id === "0.6.5");
    const which = `The app is of release ${ofApp.releases}, and its KMS of ${ofKms.releases}`;
    return [
      isKmsNewer
        ? {
            message: `${which}: the KMS gives the app the keys of app epoch 0 alone, and none after a rotation.`,
            advice:
              app?.policy?.shiftedAppId !== undefined
                ? `${doNotUpgrade} Deploy a new app before an epoch is advanced.`
                : "Upgrade the app's proxy before an epoch is advanced.",
          }
        : {
            message: `${which}: such a KMS denies the requests of the app.`,
            advice: "Upgrade the proxy of the KMS first, then the apps.",
          },
    ];
  },
};
