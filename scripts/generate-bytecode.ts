// Writes the bytecode of compiled contracts into src, so that a local world and the batch executor need no compiler and
// no artifacts.
//
//   node scripts/run.mjs scripts/generate-bytecode.ts           rewrite
//   node scripts/run.mjs scripts/generate-bytecode.ts --check   exit 1 if a committed file differs
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { root } from "./support/paths.ts";

const files = [
  {
    file: "src/world/bytecode.ts",
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
    file: "src/core/batch/batch-executor-bytecode.ts",
    contracts: [{ constant: "batchExecutorBytecode", artifact: "contracts/BatchExecutor.sol/BatchExecutor.json" }],
  },
];

for (const { file, contracts } of files) {
  const path = join(root, file);
  const wanted = render(file, contracts);
  if (!process.argv.includes("--check")) writeFileSync(path, wanted);
  else if (!existsSync(path) || readFileSync(path, "utf8").replaceAll("\r\n", "\n") !== wanted) {
    fail(`${file} is not the code of the compiled contracts. Run "npm run generate" and commit the result.`);
  }
}

function render(file: string, contracts: (typeof files)[number]["contracts"]): string {
  const constants = contracts.map(
    ({ constant, artifact }) => `\nexport const ${constant}: Hex =\n  "${readBytecode(artifact)}";\n`,
  );
  const header = '// Creation code from the artifacts, written by "npm run generate". Do not edit.\n';
  const hex = relative(dirname(file), "src/core/hex.ts").replaceAll("\\", "/");
  return `${header}import type { Hex } from "${hex.startsWith(".") ? hex : `./${hex}`}";\n${constants.join("")}`;
}

function readBytecode(artifact: string): string {
  const path = join(root, "artifacts", artifact);
  if (!existsSync(path)) fail(`${artifact} is not compiled. Run "npm run hardhat build" first.`);
  const { bytecode, linkReferences } = JSON.parse(readFileSync(path, "utf8")) as {
    bytecode: string;
    linkReferences: object;
  };
  if (Object.keys(linkReferences).length > 0) fail(`${artifact} needs libraries linked into it.`);
  return bytecode;
}

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}
