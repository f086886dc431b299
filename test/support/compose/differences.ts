const unknownKey = "The loader reads the section before the schema is asked, and overlooks a misspelt key.";
const noService = "A CVM without a service runs nothing.";
const tag =
  "YAML readers interpret the tag differently, and Docker Compose alone leaves out or replaces what it marks.";
const directive = "YAML readers interpret directives differently.";
const lineEnd = "Some YAML readers end a line at the character, so text of a comment can be a service for others.";
const tab = "YAML allows no tab in the indentation of a continued line, and other readers refuse it.";
const cut = "Docker Compose leaves out everything from a shell's operator on, so another command runs than is written.";
const colon = "Docker Compose reads the colon as a part of the key, and other YAML readers do not.";
const time = "Docker Compose hands the time on in another form than it is written in.";

/** Files of the corpus that Docker Compose accepts and we refuse, each with the reason. */
export const refusedHere: Readonly<Record<string, string>> = {
  "a service that extends with an unknown key": unknownKey,
  "include with an unknown key": unknownKey,
  "no services but volumes": noService,
  "a mapping without services": noService,
  "services as an empty mapping": noService,
  "two documents":
    "Docker Compose merges the documents by rules of its own for every key, so the checks would see less.",
  "a YAML directive": directive,
  "a tag directive": directive,
  "a tag of binary data": tag,
  "an unknown tag": tag,
  "a tag that resets": tag,
  "a tag that resets a service": tag,
  "a tag that overrides": tag,
  "a complex key": "YAML readers disagree about where the value of such a key may begin.",
  "a colon before a brace": colon,
  "a colon before a comma": colon,
  "a date as a value": time,
  "a date as an environment value": time,
  "two byte order marks": "The second mark is a character of the first key for other YAML readers.",
  "lines with CR alone": lineEnd,
  "a CR in the middle of a line": lineEnd,
  "a line separator in text": lineEnd,
  "a next-line character in text": lineEnd,
  "a delete character": "YAML does not allow the character, and other readers refuse it.",
  'command: "a; b \'c"': cut,
  'command: "a && \'b"': cut,
  'command: "a > \'b"': cut,
  "command: \"'a' > b\"": cut,
  "a key of 2,000 characters": "YAML limits a key to 1,024 characters.",
  'tabs in "services:\\n  web:\\n    image: a\\n    command: [\\n\\ta,\\n\\tb]\\n"': tab,
  'tabs in "services:\\n  web:\\n    image: a\\n    command: [\\n    \\ta\\n    ]\\n"': tab,
  'tabs in "services: {\\n\\tweb: {image: a}}\\n"': tab,
  'tabs in "services:\\n  web:\\n    image: \\"a\\n\\tb\\"\\n"': tab,
  'tabs in "services:\\n  web:\\n    command: [a,\\n\\n\\t\\n    b]\\n    image: x\\n"': tab,
};

const otherFile = "The other file is not known here. The linter reports that the compose hash does not cover it.";
const value = "The value of the variable is known only on the CVM.";

/** Files of the corpus that Docker Compose refuses and we accept, each with the reason. */
export const acceptedHere: Readonly<Record<string, string>> = {
  "a service that extends one of another file": otherFile,
  "an included file": otherFile,
  "an included file in long form": otherFile,
  "an included remote file": otherFile,
  "a required variable that is not set": value,
  "a required variable that is empty": value,
  "an image from a variable that is not set": value,
  "a variable for a number that is text": value,
  "a variable for a boolean that is text": value,
};
