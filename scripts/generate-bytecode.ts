// Writes the bytecode of compiled contracts into src. So a local world and the batch executor need no compiler and
// no artifacts.
//
//   node scripts/run.mjs scripts/generate-bytecode.ts           rewrite
//   node scripts/run.mjs scripts/generate-bytecode.ts --check   exit 1 if a committed file differs
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Hex, keccak256 } from "viem";
import { root } from "./support/paths.ts";

interface Contract {
  readonly constant: string;
  readonly artifact: string;
  /** Name of the constant for the Keccak hash of the deployed code. Only for contracts without immutables. */
  readonly codeHash?: string;
}

const files: readonly { readonly file: string; readonly contracts: readonly Contract[] }[] = [
  {
    file: "src/generated/bytecode.ts",
    contracts: [
      { constant: "dstackAppBytecode", artifact: "contracts/DstackApp.sol/DstackApp.json" },
      { constant: "dstackKmsBytecode", artifact: "contracts/DstackKms.sol/DstackKms.json" },
      {
        constant: "erc1967ProxyBytecode",
        artifact: "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol/ERC1967Proxy.json",
      },
    ],
  },
  {
    file: "src/generated/batch-executor-bytecode.ts",
    contracts: [
      {
        constant: "batchExecutorBytecode",
        codeHash: "batchExecutorCodeHash",
        artifact: "contracts/BatchExecutor.sol/BatchExecutor.json",
      },
    ],
  },
];

for (const { file, contracts } of files) {
  const path = join(root, file);
  const wanted = render(contracts);
  if (!process.argv.includes("--check")) writeFileSync(path, wanted);
  else if (!existsSync(path) || readFileSync(path, "utf8").replaceAll("\r\n", "\n") !== wanted) {
    fail(`${file} differs from the code of the compiled contracts. Run "npm run generate" and commit the result.`);
  }
}

function render(contracts: readonly Contract[]): string {
  const constants = contracts.flatMap(({ constant, codeHash, artifact }) => {
    const { bytecode, deployedBytecode } = readArtifact(artifact);
    const lines = [`\nexport const ${constant}: Hex =\n  "${bytecode}";\n`];
    if (codeHash !== undefined) lines.push(`\nexport const ${codeHash}: Hex = "${keccak256(deployedBytecode)}";\n`);
    return lines;
  });
  const header = '// Code from the artifacts, written by "npm run generate". Do not edit.\n';
  return `${header}import type { Hex } from "viem";\n${constants.join("")}`;
}

interface Artifact {
  readonly bytecode: Hex;
  readonly deployedBytecode: Hex;
  readonly linkReferences: object;
}

function readArtifact(artifact: string): Artifact {
  const path = join(root, "artifacts", artifact);
  if (!existsSync(path)) fail(`${artifact} is not compiled. Run "npm run hardhat build" first.`);
  const content: Artifact = JSON.parse(readFileSync(path, "utf8"));
  if (Object.keys(content.linkReferences).length > 0) fail(`${artifact} needs libraries linked into it.`);
  return content;
}

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}
