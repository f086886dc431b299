/** Why each finding of Slither is no fault, by detector and place. */
export const explanations: Readonly<Record<string, string>> = {
  "assembly BatchExecutor._bytesIn": "Slices calldata in place, because abi.decode would copy it to memory.",
  "assembly BatchExecutor._call": "Reuses the same memory for each call.",
  "assembly BatchExecutor._returnData": "Copies the returned data once.",
  "assembly BatchExecutor._tailAt": "Slices calldata in place, because abi.decode would copy it to memory.",
  "assembly BatchExecutor._wordAt": "Reads a word of calldata where it is.",
  "assembly DstackAppEnumerable._enumerableStorage": "The only way to name a storage slot (ERC-7201).",
  "assembly DstackAppNoticePeriod._noticeStorage": "The only way to name a storage slot (ERC-7201).",
  "naming-convention DstackAppBase.__gap": "The reserved slots are named as OpenZeppelin's are.",
  "naming-convention DstackKms.__gap": "The reserved slots are named as OpenZeppelin's are.",
  "timestamp DstackAppNoticePeriod._addComposeHash":
    "A notice lasts hours or days; a block producer moves the time by seconds.",
  "timestamp DstackAppNoticePeriod._currentSettings":
    "A notice lasts hours or days; a block producer moves the time by seconds.",
  "timestamp DstackAppNoticePeriod._requireOver":
    "A notice lasts hours or days; a block producer moves the time by seconds.",
  "timestamp DstackAppNoticePeriod.cancelNoticeSettings":
    "A notice lasts hours or days; a block producer moves the time by seconds.",
  "timestamp DstackAppNoticePeriod.pendingNoticeSettings":
    "A notice lasts hours or days; a block producer moves the time by seconds.",
  "too-many-digits BatchExecutor.slitherConstructorConstantVariables":
    "The modes are constants of ERC-7579 and ERC-7821.",
  "unindexed-event-address IDstackKms.AppImplementationSet":
    "The deployed contracts do not index it, and the events must be the same.",
  "unindexed-event-address IDstackKms.AppRegistered":
    "The deployed contracts do not index it, and the events must be the same.",
  "unused-return DstackAppEnumerable._addComposeHash":
    "A set returns whether it changed. The list is right in both cases.",
  "unused-return DstackAppEnumerable._addDevice": "A set returns whether it changed. The list is right in both cases.",
  "unused-return DstackAppEnumerable._removeComposeHash":
    "A set returns whether it changed. The list is right in both cases.",
  "unused-return DstackAppEnumerable._removeDevice":
    "A set returns whether it changed. The list is right in both cases.",
  "unused-return DstackAppEnumerable.importEntries":
    "A set returns whether it changed. The list is right in both cases.",
  "unused-return DstackAppNoticePeriod._addComposeHash":
    "A set returns whether it changed. The list is right in both cases.",
  "write-after-write BatchExecutor._bytesIn.content":
    "The offset and the length of one calldata slice are written one after the other.",
  "write-after-write BatchExecutor._tailAt.tail":
    "The offset and the length of one calldata slice are written one after the other.",
};
