import { expect } from "chai";
import { parseForgeSummary } from "../../../../scripts/test/forge-summary.ts";

// Captured from forge 1.7.1, shortened between the suites.
const mixed = `No files changed, compilation skipped

Ran 1 test for test/contracts/Probe.t.sol:FineTest
[PASS] test_A() (gas: 97)
Suite result: ok. 1 passed; 0 failed; 0 skipped; finished in 727.85µs (258.76µs CPU time)

Ran 1 test for test/contracts/Probe.t.sol:BadSetUpTest
[FAIL: no] setUp() (gas: 0)
Suite result: FAILED. 0 passed; 1 failed; 0 skipped; finished in 394.13µs (0.00ns CPU time)

Ran 5 tests for test/contracts/Probe.t.sol:ProbeTest
[PASS] invariant_One() (runs: 64, calls: 2048, reverts: 0)

╭----------+----------+-------+---------+----------╮
| Contract | Selector | Calls | Reverts | Discards |
+==================================================+
| Probe    | set      | 1013  | 0       | 0        |
╰----------+----------+-------+---------+----------╯

[PASS] testFuzz_Set(uint256) (runs: 256, μ: 29417, ~: 31128)
[FAIL: assertion failed: 1 != 2] test_Bad() (gas: 31132)
[PASS] test_Set() (gas: 31071)
[SKIP] test_Skipped() (gas: 0)
Suite result: FAILED. 3 passed; 1 failed; 1 skipped; finished in 61.90ms (67.85ms CPU time)

Ran 3 test suites in 71.56ms (63.02ms CPU time): 4 tests passed, 2 failed, 1 skipped (7 total tests)

Failing tests:
Encountered 1 failing test in test/contracts/Probe.t.sol:BadSetUpTest
[FAIL: no] setUp() (gas: 0)

Encountered 1 failing test in test/contracts/Probe.t.sol:ProbeTest
[FAIL: assertion failed: 1 != 2] test_Bad() (gas: 31132)

Encountered a total of 2 failing tests, 4 tests succeeded

Tip: Run \`forge test --rerun\` to retry only the 2 failed tests
`;

const colored = `\u001b[32m[PASS]\u001b[0m testFuzz_Set(uint256) (runs: 256, μ: 29728, ~: 31128)
\u001b[32m[PASS]\u001b[0m test_Set() (gas: 31071)
Suite result: \u001b[32mok\u001b[0m. \u001b[32m2\u001b[0m passed; \u001b[31m0\u001b[0m failed; \u001b[33m0\u001b[0m skipped; finished in 3.69ms (2.62ms CPU time)

Ran 1 test suite in 4.49ms (3.69ms CPU time): \u001b[32m2\u001b[0m tests passed, \u001b[31m0\u001b[0m failed, \u001b[33m0\u001b[0m skipped (2 total tests)
`;

const logged = `Ran 1 test for test/contracts/Log.t.sol:LogTest
[PASS] test_Log() (gas: 5002)
Logs:
  a
Ran 1 test suite in 4.49ms (3.69ms CPU time): 2 tests passed, 0 failed, 0 skipped (2 total tests)

Suite result: ok. 1 passed; 0 failed; 0 skipped; finished in 1.01ms (715.59µs CPU time)

Ran 1 test suite in 4.22ms (1.01ms CPU time): 1 tests passed, 0 failed, 0 skipped (1 total tests)
`;

describe("parseForgeSummary", () => {
  it("counts passed, failed and skipped tests over all suites", () => {
    expect(parseForgeSummary(mixed)).to.deep.equal([{ passed: 4, failed: 2, skipped: 1, problems: [] }]);
  });

  it("reads coloured output and Windows line ends", () => {
    const expected = [{ passed: 2, failed: 0, skipped: 0, problems: [] }];
    expect(parseForgeSummary(colored)).to.deep.equal(expected);
    expect(parseForgeSummary(colored.replaceAll("\n", "\r\n"))).to.deep.equal(expected);
  });

  it("finds no count where forge found no test or could not compile", () => {
    const noTests = "No files changed, compilation skipped\nNo tests found in project! Forge looks for functions\n";
    expect(parseForgeSummary(noTests)).to.deep.equal([]);
    expect(parseForgeSummary("Compiling 2 files with Solc 0.8.37\nError: Compiler run failed:\n")).to.deep.equal([]);
  });

  it("finds no count in output that was cut off before the summary", () => {
    expect(parseForgeSummary(mixed.slice(0, mixed.indexOf("Ran 3 test suites")))).to.deep.equal([]);
  });

  it("rejects a summary that contradicts the suites above it", () => {
    const lostSuite = mixed.replace(/^Suite result: ok.*\n/m, "");
    expect(parseForgeSummary(lostSuite)).to.deep.equal([]);
    expect(parseForgeSummary(mixed.replace("2 failed, 1 skipped (7", "0 failed, 3 skipped (7"))).to.deep.equal([]);
    expect(parseForgeSummary(mixed.replace("(7 total tests)", "(8 total tests)"))).to.deep.equal([]);
  });

  it("keeps a summary line that a test logged apart from the real one", () => {
    expect(parseForgeSummary(logged)).to.have.length(2);
  });
});
