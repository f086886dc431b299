// Writes src/world/bytecode.ts from the compiled contracts, so that a local world needs no compiler and no artifacts.
//
//   node scripts/run.mjs scripts/generate-bytecode.ts           rewrite
//   node scripts/run.mjs scripts/generate-bytecode.ts --check   exit 1 if the committed file differs
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./support/paths.ts";

const file = "src/world/bytecode.ts";
const contracts = [
  { constant: "dstackAppBytecode", artifact: "contracts/DstackApp.sol/DstackApp.json" },
  { constant: "dstackKmsBytecode", artifact: "contracts/DstackKms.sol/DstackKms.json" },
  {
    constant: "erc1967ProxyBytecode",
    artifact: "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol/ERC1967Proxy.json",
  },
];

const path = join(root, file);
const wanted = render();
if (!process.argv.includes("--check")) writeFileSync(path, wanted);
else if (!existsSync(path) || readFileSync(path, "utf8").replaceAll("\r\n", "\n") !== wanted) {
  fail(`${file} is not the code of the compiled contracts. Run "npm run generate" and commit the result.`);
}

function render(): string {
  const constants = contracts.map(
    ({ constant, artifact }) => `\nexport const ${constant}: Hex =\n  "${readBytecode(artifact)}";\n`,
  );
  const header = '// Creation code from the artifacts, written by "npm run generate". Do not edit.\n';
  return `${header}import type { Hex } from "../core/hex.ts";\n${constants.join("")}`;
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
