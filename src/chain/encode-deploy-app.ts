import { encodeFunctionData, zeroHash } from "viem";
import { dstackKmsAbi } from "../abi/index.ts";
import type { DeployAppParameters } from "./deploy-app.ts";
import { parseAddress } from "./parse-address.ts";

/** The call of the factory that `deployApp` sends: equal parameters give equal bytes. @throws InvalidHexError */
export function encodeDeployApp(parameters: DeployAppParameters) {
  const { deviceId = zeroHash, composeHash = zeroHash, kms, owner } = parameters;
  const { allowAnyDevice = false, requireTcbUpToDate = false, disableUpgrades = false } = parameters;
  const functionName = "deployAndRegisterApp";
  const newOwner = parseAddress("The owner's address", owner);
  const args = [newOwner, disableUpgrades, requireTcbUpToDate, allowAnyDevice, deviceId, composeHash] as const;
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args });
  return { to: parseAddress("The KMS address", kms), data, abi: dstackKmsAbi, functionName };
}
