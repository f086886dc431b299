import { expect } from "chai";
import { describeDifference } from "../../../../src/core/document-difference.ts";

const dockerCompose = "services:\n  web:\n    image: nginx:1\n    restart: always\n  db:\n    image: postgres:16\n";

describe("describeDifference", () => {
  it("shows the lines that differ, below the name of their field", () => {
    const changed = dockerCompose.replace("nginx:1", "nginx:2").replace("    restart: always\n", "");
    expect(
      describeDifference(
        { docker_compose_file: dockerCompose, public_logs: true },
        { docker_compose_file: changed, public_logs: false, allowed_envs: ["A"] },
      ),
    ).to.deep.equal([
      "allowed_envs:",
      '  + ["A"]',
      "docker_compose_file:",
      "  -     image: nginx:1",
      "  -     restart: always",
      "  +     image: nginx:2",
      "public_logs:",
      "  - true",
      "  + false",
    ]);
  });

  it("keeps what is common between changes, and is empty for equal documents", () => {
    const before = { pre_launch_script: "a\nb\nc\nd\ne\n" };
    expect(describeDifference(before, { pre_launch_script: "a\nx\nc\nd\ny\n" })).to.deep.equal([
      "pre_launch_script:",
      "  - b",
      "  + x",
      "  - e",
      "  + y",
    ]);
    expect(describeDifference(before, { ...before })).to.deep.equal([]);
  });

  it("shows no control character of a document", () => {
    const lines = describeDifference({}, { docker_compose_file: "a\u001b[2J\nb\n" });
    expect(lines.join("")).to.not.include("\u001b");
  });

  it("shows very long texts as removed and added", () => {
    const text = (mark: string) => Array.from({ length: 3_000 }, (_, index) => `${mark}${index}`).join("\n");
    const lines = describeDifference({ docker_compose_file: text("a") }, { docker_compose_file: text("b") });
    expect(lines).to.have.length(6_001);
    expect(lines[3_001]).to.equal("  + b0");
  });
});
