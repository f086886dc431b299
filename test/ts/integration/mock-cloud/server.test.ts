import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { runScript } from "../../../support/scripts/run-script.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("the command dstack-mock-cloud", function () {
  this.timeout(120_000);
  const directory = useTemporaryDirectory();
  const run = (...args: string[]) => runScript({ args: ["src/mock-cloud/server.ts", ...args] });

  it("explains itself", async () => {
    const { code, stdout, stderr } = await run("--help");
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
    for (const flag of ["--seed", "--allowed-hosts", "--allowed-origins", "--device-login", "--private-webhooks"]) {
      expect(stdout).to.include(flag);
    }
  });

  it("says in words what keeps it from starting, and exits with 2", async () => {
    const file = (name: string, text: string) => {
      const path = join(directory.path, name);
      writeFileSync(path, text);
      return path;
    };
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo; // listening on TCP
    try {
      const cases: [args: string[], words: string][] = [
        [["--port", String(port)], `Port ${port} is taken`],
        [["--port", "eighty"], "--port must be a whole number"],
        [["--no-such-flag"], "--no-such-flag"],
        [["--seed", join(directory.path, "none.json")], "none.json"],
        [["--seed", file("broken.json", '{"workspaces": [{"name": "sekret-name"')], "is not JSON"],
        [["--seed", file("wrong.json", '{"nodes": [{"id": "one"}]}')], "nodes[0].id"],
        [["--seed", file("chain.json", '{"kms": [{"slug": "k", "chainId": 1, "contractAddress": "0x12"}]}')], "KMS k"],
        [["--state", file("not-a-database", "text ".repeat(1000))], "The state file cannot be used"],
        [["--allowed-hosts", "http://a.example"], "--allowed-hosts takes host names"],
        [["--public-url", "a.example"], "http or https URL"],
      ];
      const outcomes = await Promise.all(
        cases.map(async ([args, words]) => ({ args, words, ...(await run("--port", "0", ...args)) })),
      );
      for (const { args, words, code, stdout, stderr } of outcomes) {
        expect({ code, stdout }, args.join(" ")).to.deep.equal({ code: 2, stdout: "" });
        expect(stderr, args.join(" ")).to.include(words);
        expect(stderr, args.join(" ")).to.not.match(/^\s+at |sekret/m);
      }
    } finally {
      taken.close();
    }
  });
});
