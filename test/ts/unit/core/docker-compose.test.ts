import { expect } from "chai";
import { changeAppCompose } from "../../../../src/core/app-compose.ts";
import { checkDockerCompose, parseComposeYaml } from "../../../../src/core/docker-compose.ts";
import { readAppDocument } from "../../../../src/core/examine-hashes.ts";
import { listCodeSources } from "../../../../src/core/lint/compose-rules.ts";
import { InvalidAppComposeError } from "../../../../src/errors/index.ts";
import { cpuTimeOf } from "../../../support/cpu-time.ts";

const good = "services:\n  web:\n    image: nginx\n";
const other = "services:\n  other:\n    image: other:latest\n";
const repeat = <Item>(count: number, line: (index: number) => Item) => Array.from({ length: count }, (_, i) => line(i));

// Docker Compose's reading of each was checked with compose-go 2.16.
describe("checkDockerCompose", () => {
  const several: readonly [string, string][] = [
    ["two documents", `${good}---\n${other}`],
    ["two in JSON", '{"services":{"web":{"image":"a"}}}\n---\n{"services":{"other":{"image":"b"}}}\n'],
    ["a second on the line of its marker", `${good}--- {services: {other: {image: b}}}\n`],
    ["a second behind a comment", `${good}--- # more\n${other}`],
    ["a second behind white space", `${good}---  \t\n${other}`],
    ["a second after an end", `${good}...\n---\n${other}`],
    ["a second with CRLF", `${good}---\n${other}`.replaceAll("\n", "\r\n")],
    ["a second behind a byte order mark", `\ufeff${good}---\n${other}`],
    ["a second that ends a block of text", `x-text: |\n  text\n--- \n${good}`],
    ["a version, and the services after it", `version: "3"\n---\n${good}`],
    ["an empty one after it", `${good}---\n`],
    ["a comment alone after it", `${good}---\n# nothing\n`],
    ["null after it", `${good}---\nnull\n`],
    ["an empty one before it", `---\n---\n${good}`],
    ["null before it", `null\n---\n${good}`],
    ["a list after it", `${good}---\n- a\n`],
    ["three", `${good}---\n${other}---\n${other}`],
  ];
  for (const [what, text] of several)
    it(`refuses several documents: ${what}`, () => {
      expect(messageOf(text)).to.match(
        / contains [23] YAML documents, which Docker Compose would merge; the second begins at/,
      );
      expect(listCodeSources({ docker_compose_file: text })).to.deep.equal([]);
    });

  it("says at which line the second document begins, and what to do", () => {
    expect(refusalOf(`${good}---\n${other}`)).to.deep.include({
      context: { documents: 2, line: 4 },
      nextStep: "Put everything into one document. `docker compose config` prints the merged file.",
    });
  });

  const refused: readonly [string, string, RegExp][] = [
    ["a syntax error in a later document", `${good}---\nservices: [\n`, /is not valid YAML at line \d/],
    ["a repeated key in a later document", `${good}---\nx: 1\nx: 2\n`, /contains 2 YAML documents/],
    ["a repeated key", "services:\n  a: {}\n  'a': {}\n", /has a repeated key, at line 3, column 3/],
    ["a repeated key in JSON", '{"services":{"a":{}},"services":{"b":{}}}', /a repeated key, at line 1, column 22/],
    ["a key repeated by an alias", "x-a: &a a\nservices:\n  a: {}\n  *a : {}\n", /a repeated key, at line 4/],
    ["an undefined alias in a later document", `${good}---\nx: *nothing\n`, /contains 2 YAML documents/],
    ["text after the end", `${good}... more\n`, /is not valid YAML/],
    ["a document after the end without a marker", `${good}...\n${other}`, /contains 2 YAML documents/],
    ["a version of YAML", `%YAML 1.2\n---\n${good}`, /has a directive \(%\) at line 1, column 1/],
    ["the version in which on is true", `%YAML 1.1\n---\n${good}`, /has a directive/],
    ["a tag under another name", `%TAG ! tag:example,2000:\n---\n${good}`, /has a directive/],
    ["an unknown directive", `%FOO bar\n---\n${good}`, /has a directive/],
    ["a directive at the end", `${good}...\n%YAML 1.2\n---\n`, /has a directive/],
    [
      "a service behind a carriage return",
      `${good.trimEnd()} # \r  other: {image: b}\n`,
      /treat as a line end .* in line 3/,
    ],
    ["a service behind a next-line character", `${good.trimEnd()} # \u0085  other: {image: b}\n`, /in line 3/],
    ["a service behind a line separator", `${good.trimEnd()} # \u2028  other: {image: b}\n`, /in line 3/],
    ["a service behind a paragraph separator", `${good.trimEnd()} # \u2029  other: {image: b}\n`, /in line 3/],
    ["carriage returns alone", good.replaceAll("\n", "\r"), /in line 1/],
    ["a character that is none", `${good}# \uffff\n`, /control character.* in line 4/],
    ["an image in base64", "services:\n  web: {image: !!binary ZXZpbA==}\n", /has a tag .* at line 2, column 25/],
    ["the same with the tag in full", "services:\n  web: {image: !<tag:yaml.org,2002:binary> ZXZpbA==}\n", /has a tag/],
    ["a service's name in base64", "services:\n  !!binary d2Vi: {image: b}\n", /has a tag/],
    ["services as a set", "services: !!set {web}\n", /has a tag/],
    [
      "a key that begins with a question mark",
      "services:\n  ? web\n  : {image: a}\n",
      /begins with a question mark, at line 2/,
    ],
    ["services as an ordered map", "services: !!omap\n  - web: {image: a}\n", /has a tag/],
    ["a service that Docker leaves out", `${good}  other: !reset {image: b}\n`, /has a tag .* at line 4, column 17/],
    ["a value that Docker leaves out", `${good}    command: !reset null\n`, /has a tag/],
    ["a list that Docker takes for the whole", `${good}    ports: !override ["80"]\n`, /has a tag/],
    ["the same with the tag in full", `${good}    command: !<!reset> null\n`, /has a tag/],
    ["an unknown tag", `${good}    command: !foo a\n`, /has a tag/],
    ["a tag without a name", `${good}    labels: {a: ! 1}\n`, /has a tag/],
    ["a merge key that is text for Docker", mergedWith("!!str <<"), /has a tag .* at line 4/],
    ["a merge key with an unknown tag", mergedWith("!foo <<"), /has a tag/],
    ["a merge key without a tag's name", mergedWith("! <<"), /has a tag/],
    ["a merge key in quotes", mergedWith('!!merge "<<"'), /has a tag/],
    ["a merge key under another name", mergedWith("!!merge foo"), /has a tag/],
    ["a merge tag on a value", `${good}x-a: !!merge <<\n`, /has a tag/],
    ["a truth that Docker refuses", `${good}    privileged: !!bool yes\n`, /has a tag/],
    ["a number that Docker reads in base eight", `${good}x-a: !!int 017\n`, /has a tag/],
    ["a number that is text here", `${good}x-a: !!float 5\n`, /has a tag/],
    ["nothing that is something", `${good}x-a: !!null foo\n`, /has a tag/],
    ["a list as a mapping", `${good}x-a: !!map [a]\n`, /has a tag/],
    ["a mapping as text", "services: !!str\n  web: {image: a}\n", /has a tag/],
    ["a mapping as a list", `${good}x-a: !!seq {a: b}\n`, /has a tag/],
    ["text as a list", `${good}x-a: !!seq foo\n`, /has a tag/],
    ["a number as a key", "services:\n  1: {image: a}\n  '1': {image: b}\n", /has a key that is not text .* at line 2/],
    ["nothing as a key", "services:\n  ~: {image: a}\n", /has a key that is not text/],
    ["a list as a key", "services: {[a]: {image: a}}\n", /has a key that is not text/],
    [
      "a number as a key by an alias",
      "x-a: &a 1\nservices:\n  *a : {image: a}\n",
      /has a key that is not text .* line 3/,
    ],
    [
      "two merge keys",
      "x-a: &a {image: a}\nx-b: &b {command: b}\nservices:\n  web:\n    <<: *a\n    <<: *b\n",
      /has a second merge key \(<<\) in one mapping, but YAML allows only one, at line 6, column 5/,
    ],
    [
      "two in a mapping of one line",
      "x-a: &a {A: b}\nx-b: {<<: *a, <<: *a}\nservices: {web: {}}\n",
      /at line 2, column 15/,
    ],
    [
      "two of which one has a tag",
      "x-a: &a {A: b}\nx-b: {<<: *a, !!merge <<: *a}\nservices: {web: {}}\n",
      /second merge/,
    ],
    [
      "a merged text",
      "services:\n  web:\n    <<: text\n",
      /has a merge key \(<<\) whose value is not a mapping, at line 3/,
    ],
    ["a merged nothing", "services:\n  web:\n    <<:\n", /whose value is not a mapping/],
    ["a merged list of numbers", "services:\n  web:\n    <<: [1]\n", /whose value is not a mapping/],
    ["an alias of nothing merged", "x-a: &a\nservices:\n  web:\n    <<: *a\n", /whose value is not a mapping/],
    ["an undefined alias", "services:\n  web: *nothing\n", /an alias to an undefined anchor, at line 2, column 8/],
    [
      "an alias before its anchor",
      "services:\n  web: *a\nx-a: &a {image: a}\n",
      /an alias to an undefined anchor, at line 2/,
    ],
    ["an undefined alias as a key", "services:\n  *a : {image: a}\n", /an alias to an undefined anchor, at line 2/],
    ["an undefined alias merged", "services:\n  web:\n    <<: *a\n", /an alias to an undefined anchor, at line 3/],
    [
      "an alias inside its own anchor",
      "services: &s\n  web: {x-services: *s}\n",
      /an alias inside its own anchor, at line 2/,
    ],
    [
      "an alias inside an anchor whose name was free before",
      "x-a: &a {image: a}\nservices: &a\n  web: *a\n",
      /an alias inside its own anchor/,
    ],
    ["aliases that multiply", `${bomb("[", "]")}${good}`, /has aliases that expand to too much text, at line \d/],
    ["merges that multiply", `${mergeBomb()}${good}`, /has aliases that expand to too much text/],
    [
      "a long text used often",
      `x-a: &a ${"x".repeat(50_000)}\nx-b: [${repeat(100, () => "*a").join(", ")}]\n${good}`,
      /has aliases that expand to too much text/,
    ],
  ];
  for (const [what, text, message] of refused)
    it(`refuses ${what}`, () => {
      expect(messageOf(text)).to.match(message);
    });

  const accepted: readonly [string, string, Readonly<Record<string, string>>?][] = [
    ["one document behind a marker", `---\n${good}`],
    ["one behind a comment and a marker", `# head\n---\n${good}`],
    ["one behind a byte order mark and a marker", `\ufeff---\n${good}`],
    ["one with an end", `${good}...\n`],
    ["one with an end and a comment after it", `${good}...\n# end\n`],
    ["CRLF", good.replaceAll("\n", "\r\n")],
    ["JSON", '{\n\t"services": {\n\t\t"web": { "image": "nginx" }\n\t}\n}\n'],
    ["markers inside a text", `${good}    command: |\n      a\n      ---\n      b\n`],
    ["keys that are words of YAML 1.1", "services:\n  on: {image: a}\n  yes: {image: b}\n", { on: "a", yes: "b" }],
    [
      "one merge key with a list",
      "x-a: &a {image: a}\nx-b: &b {image: b}\nservices:\n  web: {<<: [*a, *b]}\n",
      { web: "a" },
    ],
    ["a merged list by an alias", "x-a: &a [{image: a}]\nservices:\n  web: {<<: *a}\n", { web: "a" }],
    [
      "a merge key before the key it yields to",
      "x-a: &a {image: a}\nservices:\n  web: {<<: *a, image: b}\n",
      { web: "b" },
    ],
    ["a merge key with its tag", "x-a: &a {image: a}\nservices:\n  web:\n    !!merge <<: *a\n", { web: "a" }],
    ["an environment that has a variable <<", `${good}    environment: {"<<": a}\n`],
    ["an anchor defined again", "x-a: &a {image: a}\nx-b: &a {image: b}\nservices:\n  web: *a\n", { web: "b" }],
    ["an alias as a key", "x-a: &a web\nservices:\n  *a : {image: a}\n", { web: "a" }],
    ["an anchor of a key", "services:\n  &k web: {image: *k}\n", { web: "web" }],
    [
      "a merged list whose anchors are defined again later",
      "x-a: &a {image: a}\nx-l: &l [*a]\nx-b: &a {image: b}\nservices:\n  web: {<<: *l}\n",
      { web: "a" },
    ],
    ["tags that name the default type", "services: !!map\n  !!str web: {image: !!str a}\n", { web: "a" }],
    [
      "tags of plain values",
      `${good}x-n: !!seq [!!int 5, !!int -3, !!int "0", !!float 1.5, !!bool true, !!null ~, !!null null, !!str null]\n`,
    ],
  ];
  for (const [what, text, images = { web: "nginx" }] of accepted)
    it(`accepts ${what}`, () => {
      checkDockerCompose(text);
      const found = listCodeSources({ docker_compose_file: text }).map(({ use, reference }) => [
        use.split(" ")[1],
        reference,
      ]);
      expect(Object.fromEntries(found)).to.deep.equal(images);
    });

  it("accepts thousands of uses of one anchor: of a scalar, a map or a merged map", () => {
    const labels = repeat(1500, (index) => `      l${index}: *a\n`);
    const services = repeat(1500, (index) => `  s${index}: {image: a, environment: *a}\n`);
    const merged = repeat(1500, (index) => `  s${index}: {image: a, environment: {<<: *a, OWN: c}}\n`);
    const variables = repeat(40, (index) => `NAME_${index}: value`).join(", ");
    const texts = [
      `x-a: &a hello\n${good}    labels:\n${labels.join("")}`,
      `x-a: &a {${variables}}\nservices:\n${services.join("")}`,
      `x-a: &a {A: b}\nservices:\n${merged.join("")}`,
    ];
    for (const text of texts) checkDockerCompose(text);
    expect(listCodeSources({ docker_compose_file: texts[2] })).to.have.length(1500);
  });

  it("takes time in proportion to the number of aliases", async () => {
    const timeOf = async (count: number) => {
      const anchors = repeat(count, (index) => `x-${index}: &a${index} v\n`).join("");
      const text = `${anchors}x-all: [${repeat(count, (index) => `*a${index}`).join(", ")}]\n${good}`;
      const times: number[] = [];
      while (times.length < 3) times.push(await cpuTimeOf(() => checkDockerCompose(text)));
      return Math.min(...times);
    };
    await timeOf(500); // compiles
    // Eight times the text; looking through all anchors for each alias would take 64 times as long.
    expect((await timeOf(6400)) / (await timeOf(800))).to.be.lessThan(32);
  });
});

describe("other readers of a compose file", () => {
  const text = `${good}---\n${other}`;

  it("refuse several documents with the same words", () => {
    for (const read of [
      () => parseComposeYaml(text),
      () => changeAppCompose({ runner: "docker-compose" }, { dockerCompose: text }),
      () => readAppDocument({ text }),
      () => readAppDocument({ text, current: { runner: "docker-compose" } }),
    ])
      expect(read).to.throw(InvalidAppComposeError, "contains 2 YAML documents");
  });

  it("refuse JSON of several documents, as a manifest and as a compose file", () => {
    for (const json of ['{"services":{"a":{}}}\n---\n{}', '{"docker_compose_file":""}\n---\n{"services":{"a":{}}}'])
      expect(() => readAppDocument({ text: json })).to.throw(InvalidAppComposeError);
  });
});

function mergedWith(key: string): string {
  return `x-a: &a {image: a}\nservices:\n  web:\n    ${key}: *a\n`;
}

function bomb(open: string, close: string): string {
  const lines = repeat(
    9,
    (index) => `x-${index + 1}: &a${index + 1} ${open}${Array(10).fill(`*a${index}`).join(", ")}${close}\n`,
  );
  return `x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${lines.join("")}`;
}

/** Every merge copies the whole map. */
function mergeBomb(): string {
  const base = repeat(2000, (index) => `k${index}: v`).join(", ");
  return `x-0: &a {${base}}\n${repeat(1500, (index) => `x-${index + 1}: {<<: *a}\n`).join("")}`;
}

function messageOf(text: string): string {
  return refusalOf(text).message;
}

function refusalOf(text: string): InvalidAppComposeError {
  try {
    checkDockerCompose(text);
  } catch (error) {
    if (error instanceof InvalidAppComposeError) return error;
    throw error;
  }
  return expect.fail("nothing was refused");
}
