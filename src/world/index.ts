export {
  type AdoptedCvm,
  type AdoptedCvms,
  type AdoptedNode,
  type AdoptedOsImage,
  type AdoptedResource,
  formatAdoptedCvms,
  parseAdoptedCvms,
} from "./adopted-cvms.ts";
export { type AttachedWorld, type AttachWorldParameters, attachWorld } from "./attach-world.ts";
export { devAccount, devPrivateKey, type LocalChainClient, type OwnerClient } from "./chain/client.ts";
export {
  type RecordRpcParameters,
  type ReplayRpcParameters,
  type RpcRecording,
  recordRpc,
  replayRpc,
} from "./chain/rpc-recording.ts";
export type { ForkBlock, LocalChain } from "./chain/start-chain.ts";
export type { DeployedContracts } from "./contracts.ts";
export {
  type LaunchCvmParameters,
  type LaunchedCvm,
  type LaunchedOffChainCvm,
  type LaunchOffChainCvmParameters,
  launchCvm,
  launchOffChainCvm,
  type WorldCvm,
  type WorldCvms,
} from "./cvms.ts";
export type { ExistingChain } from "./existing-chain.ts";
export { type ReadAdoptedCvmsParameters, readAdoptedCvms } from "./read-adopted-cvms.ts";
export type { SafeRelease, WorldSafe, WorldSafeOptions } from "./safe.ts";
export type { ClientEnvironment, WorldCloudOptions, WorldNode, WorldOsImage } from "./start-cloud.ts";
export { type StartWorldParameters, startWorld, type World } from "./start-world.ts";
