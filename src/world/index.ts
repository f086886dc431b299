export { type AttachedWorld, type AttachWorldParameters, attachWorld } from "./attach-world.ts";
export type { LocalChainClient } from "./chain/local-chain-client.ts";
export type { LocalChain } from "./chain/start-chain.ts";
export type { ClientEnvironment } from "./client-environment.ts";
export type { DeployedContracts } from "./deploy-contracts.ts";
export { devAccount, devPrivateKey } from "./dev-accounts.ts";
export type { ExistingChain } from "./existing-chain.ts";
export { type LaunchCvmParameters, type LaunchedCvm, launchCvm } from "./launch-cvm.ts";
export {
  type LaunchedOffChainCvm,
  type LaunchOffChainCvmParameters,
  launchOffChainCvm,
} from "./launch-off-chain-cvm.ts";
export type { OwnerClient } from "./owner-client.ts";
export type { WorldNode, WorldOsImage } from "./platform.ts";
export type { WorldCvm, WorldCvms } from "./seed-cvms.ts";
export type { WorldCloudOptions } from "./start-cloud.ts";
export { type StartWorldParameters, startWorld, type World } from "./start-world.ts";
