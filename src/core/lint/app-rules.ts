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

export const removeDeviceWithoutEffect: LintRule = {
  name: "remove-device-without-effect",
  severity: "error",
  summary: "A device is removed although the app allows any device, so the removal has no effect.",
  check: ({ app, calls = [] }) => {
    const switches = calls.filter(({ functionName }) => functionName === "setAllowAnyDevice");
    const allowsAny = switches.at(-1)?.args[0] ?? app?.policy?.allowAnyDevice;
    return allowsAny !== true
      ? []
      : calls
          .filter(({ functionName }) => functionName === "removeDevice")
          .map(({ args: [device] }) => ({
            message: `Removing device ${device} has no effect: the app allows any device.`,
            advice: "Stop allowing any device (`setAllowAnyDevice`) in the same batch or before it.",
          }));
  },
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
  summary: "The current, pending or new owner is an address that cannot act.",
  check: (subject) => {
    const { newOwner, app } = subject;
    const { owner, pendingOwner } = app?.policy ?? {};
    return [
      ...(owner === undefined ? [] : judge(subject, owner, "The owner")),
      ...(pendingOwner === undefined ? [] : judgePending(subject, pendingOwner)),
      ...(newOwner === undefined ? [] : judgeNew(subject, newOwner)),
    ];
  },
};

/** Only a warning: if the pending owner cannot accept, nothing changes, and the current owner keeps all rights. */
function judgePending(subject: LintSubject, pending: LintedOwner): LintProblem[] {
  return judge(subject, pending, "The pending owner").map((problem) => ({ ...problem, severity: "warning" }));
}

/** Every doubt about a new owner is an error, because it may be too late after the transfer. */
function judgeNew(subject: LintSubject, newOwner: LintedOwner): LintProblem[] {
  const isTwoStep = subject.app?.policy?.isTwoStep ?? false;
  // With two-step ownership, nothing changes if the pending owner cannot call the app. The zero address withdraws an
  // offer.
  const isKnownNotToCall = isAppOrKms(subject, newOwner.address);
  if (isTwoStep && !isKnownNotToCall && ["renounced", "contract"].includes(newOwner.kind)) return [];
  return judge(subject, newOwner, "The new owner").map((problem) => ({ ...problem, severity: "error" }));
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
function isKeyless(address: string): boolean {
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
  summary: "A CVM runs a compose hash, or on a device, that is no longer allowed: its next boot will be refused.",
  check: ({ app, cvms = [] }) => {
    const { composeHashes, devices, allowAnyDevice } = app?.policy ?? {};
    const lacks = (list: readonly string[] | undefined, value: string | undefined) =>
      list !== undefined && value !== undefined && !list.some((item) => item.toLowerCase() === value.toLowerCase());
    return cvms.flatMap(({ name, composeHash, deviceId, isHashAllowed, isDeviceListed }) => [
      ...((isHashAllowed === undefined ? lacks(composeHashes, composeHash) : !isHashAllowed)
        ? [
            {
              message: `${name} runs compose hash ${composeHash}, which is not allowed.`,
              advice: "It runs until it is restarted. Allow the hash, or update the CVM.",
            },
          ]
        : []),
      ...(allowAnyDevice === false && (isDeviceListed === undefined ? lacks(devices, deviceId) : !isDeviceListed)
        ? [
            {
              message: `${name} runs on device ${deviceId}, which is not allowed.`,
              advice: "It runs until it is restarted. Allow the device.",
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
            message: `The app allows any device, so its list of ${devices.length} devices has no effect.`,
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
  check: ({ app, newOwner }) => {
    if (app?.policy?.isTwoStep !== false) return [];
    const { shiftedAppId, upgradesDisabled } = app.policy;
    const upgrade = "Upgrade the app to a version with two-step transfers before you transfer it.";
    const compare = "Upgrades are disabled, so compare the new owner's address with a second source before a transfer.";
    return [
      {
        message: "The ownership of this contract is transferred in one step, so a typo in the address loses the app.",
        severity: newOwner === undefined ? "note" : "warning",
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
