export { type BootInfoChanges, bootInfoOf, testComposeHash, testDeviceId, testOsImageHash } from "./boot.ts";
export { dstackMatchers } from "./chai-matchers.ts";
export {
  type DeployedDstack,
  type DeployTestAppParameters,
  type DstackAppContract,
  type DstackKmsContract,
  deployDstack,
  type TestChain,
  type TestClient,
} from "./deploy-dstack.ts";
