/** Compose files that the text files of the corpus cannot hold, each with Docker Compose's verdict. */
export const unusualFiles: readonly (readonly ["accepted" | "refused", string, string])[] = [
  ["refused", "an empty file", ""],
  ["refused", "white space alone", " \n\n  \n"],
  ["refused", "a byte order mark alone", "\ufeff"],
  ["accepted", "a byte order mark", `\ufeff${file("nginx")}`],
  ["accepted", "two byte order marks", `\ufeff\ufeff${file("nginx")}`],
  ["accepted", "a byte order mark in the middle", file("nginx", "x-note: a\ufeffb\n")],
  ["accepted", "lines with CRLF", file("nginx").replaceAll("\n", "\r\n")],
  ["accepted", "lines with CR alone", file("nginx").replaceAll("\n", "\r")],
  ["accepted", "a CR in the middle of a line", file("nginx", "x-note: a\rx-other: b\n")],
  ["accepted", "a line separator in text", file("nginx", "x-note: a\u2028x-other: b\n")],
  ["accepted", "a next-line character in text", file("nginx", "x-note: a\u0085x-other: b\n")],
  ["refused", "a null character", file("nginx", "x-note: a\0b\n")],
  ["refused", "a bell", file("nginx", "x-note: a\u0007b\n")],
  ["accepted", "a delete character", file("nginx", "x-note: a\u007fb\n")],
  ["refused", "a form feed", file("nginx", "x-note: a\fb\n")],
  ["refused", "the character U+FFFF", file("nginx", "x-note: a\uffffb\n")],
  ["accepted", "a replacement character", file("nginx", "x-note: a\ufffdb\n")],
  ["accepted", "a no-break space in text", file("nginx", "x-note: a\u00a0b\n")],
  ["refused", "a no-break space before a key", "services:\n\u00a0\u00a0web:\n    image: nginx\n"],
  ["refused", "a zero-width space in a key", "services:\n  web:\n    im\u200bage: nginx\n"],
  ["accepted", "spaces at the ends of lines", file("nginx").replaceAll("\n", "  \n")],
  ["accepted", "a tab at the end of a line", file("nginx\t")],
  ["accepted", "no line end at the end", file("nginx").trimEnd()],
  ["accepted", "a block of text without a line end", file("nginx", "x-note: |\n  a\n  b")],
  ["accepted", "a folded block of text without a line end", file("nginx", "x-note: >+\n  a\n  b")],
  ["accepted", "a block of text with a line end", file("nginx", "x-note: |\n  a\n  b\n")],
  ["accepted", "a comment without a line end", `${file("nginx")}# end`],
  ["accepted", "a value of 100,000 characters", file("nginx", `x-note: ${"a".repeat(100_000)}\n`)],
  ["accepted", "a key of 2,000 characters", file("nginx", `x-${"a".repeat(2000)}: 1\n`)],
  ["accepted", "one anchor used 1,500 times", file("nginx", `x-a: &a 1\nx-list: [${"*a, ".repeat(1499)}*a]\n`)],
  ["accepted", "one mapping used 1,500 times", file("nginx", `x-a: &a { b: 1 }\nx-list: [${"*a, ".repeat(1499)}*a]\n`)],
  ["refused", "aliases that expand to a billion values", file("nginx", bomb(9, 9))],
  ["accepted", "lists in 50 levels", file("nginx", `x-a: ${"[".repeat(50)}${"]".repeat(50)}\n`)],
  ["refused", "lists in 20,000 levels", file("nginx", `x-a: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n`)],
  ["accepted", "300 services", `services:\n${many(300, (index) => `  s${index}: { image: nginx }\n`)}`],
  [
    "accepted",
    "a chain of 200 dependencies",
    `services:\n  s0: { image: nginx }\n${many(200, (index) => `  s${index + 1}: { image: nginx, depends_on: [s${index}] }\n`)}`,
  ],
];

function file(image: string, rest = ""): string {
  return `services:\n  web:\n    image: ${image}\n${rest}`;
}

/** Lists of lists, each `width` aliases of the one before. */
function bomb(depth: number, width: number): string {
  const level = (index: number) => `x-l${index + 1}: &l${index + 1} [${`*l${index}, `.repeat(width)}]\n`;
  return `x-l0: &l0 [a]\n${many(depth, level)}`;
}

function many(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => line(index)).join("");
}
