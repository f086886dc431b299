import { expect } from "chai";
import { validateDockerCompose } from "../../../../src/core/compose-schema/validate.ts";

const web = "services:\n  web:\n    image: nginx\n";

describe("validateDockerCompose", () => {
  const refused: readonly [what: string, text: string, ...places: string[]][] = [
    ["an image indented like its service", "services:\n  web:\n  image: nginx\n", "services.web", "services.image"],
    ["a service without content", `${web}  worker:\n`, "services.worker"],
    ["a service that is text", "services:\n  web: nginx\n", "services.web"],
    ["a key with a typing error", `${web}    prots: ["80:80"]\n`, "services.web.prots"],
    ["a mapping in a list of variables", `${web}    environment:\n      - URL: x\n`, "services.web.environment[0]"],
  ];
  for (const [what, text, ...places] of refused)
    it(`refuses ${what}`, async () => {
      const problems = await validateDockerCompose(text);
      expect(problems.map(({ path }) => path)).to.deep.equal(places);
    });

  it("says where a problem is", async () => {
    const [problem] = await validateDockerCompose(`${web}    prots: ["80:80"]\n`);
    expect(problem).to.include({ path: "services.web.prots", line: 4, column: 5, isUnknownKey: true });
  });
});
