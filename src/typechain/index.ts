/**
 * TypeChain's ethers v6 classes of the contracts, for users who do not use viem. `hardhat build` generates them into
 * types/, which is not committed. The caller has to install ethers.
 */

export type { ERC1967Proxy } from "../../types/ethers-contracts/@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.js";
export type { DstackApp } from "../../types/ethers-contracts/contracts/DstackApp.js";
export type { DstackKms } from "../../types/ethers-contracts/contracts/DstackKms.js";
export type { IAppAuth } from "../../types/ethers-contracts/contracts/interfaces/IAppAuth.js";
export type { IAppAuthBasicManagement } from "../../types/ethers-contracts/contracts/interfaces/IAppAuthBasicManagement.js";
export { ERC1967Proxy__factory } from "../../types/ethers-contracts/factories/@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy__factory.js";
export { DstackApp__factory } from "../../types/ethers-contracts/factories/contracts/DstackApp__factory.js";
export { DstackKms__factory } from "../../types/ethers-contracts/factories/contracts/DstackKms__factory.js";
export { IAppAuth__factory } from "../../types/ethers-contracts/factories/contracts/interfaces/IAppAuth__factory.js";
export { IAppAuthBasicManagement__factory } from "../../types/ethers-contracts/factories/contracts/interfaces/IAppAuthBasicManagement__factory.js";
