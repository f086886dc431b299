import { InvalidAppComposeError } from "../../errors/index.ts";
import type { AppCompose } from "../app-compose.ts";
import { entriesOf, fieldOf, parseComposeYaml, readComposeServices } from "../docker-compose.ts";
import type { LintProblem, LintRule } from "./rule.ts";

/** Something outside of the compose file that decides which code runs. */
export interface CodeSource {
  readonly kind: "image" | "build" | "file" | "provider";
  /** Begin of a sentence that `reference` ends, such as "Service web runs". */
  readonly use: string;
  readonly reference: string;
  /** Names of the variables that the source depends on, each once. */
  readonly variables: readonly string[];
  /** Whether the reference ends with a full digest. The digest alone decides which image is pulled. */
  readonly isPinned: boolean;
}

/** Returns why the services of a document cannot be read. Undefined if they can, or if there is no compose file. */
export function composeProblem(document: AppCompose | undefined): string | undefined {
  return readFile(document).problem;
}

function readFile(document: AppCompose | undefined): { readonly file?: unknown; readonly problem?: string } {
  const text = document?.docker_compose_file;
  if (!text || document?.runner === "bash") return {};
  try {
    readComposeServices(text);
    return { file: parseComposeYaml(text) };
  } catch (error) {
    if (!(error instanceof InvalidAppComposeError)) throw error;
    return { problem: error.message };
  }
}

interface Workload {
  /** "Service web". */
  readonly who: string;
  readonly settings: unknown;
}

/** Services of every profile, and jobs. */
function listWorkloads(file: unknown): Workload[] {
  return (
    [
      ["services", "Service"],
      ["jobs", "Job"],
    ] as const
  ).flatMap(([section, what]) =>
    entriesOf(fieldOf(file, section)).map(([name, settings]) => ({ who: `${what} ${name}`, settings })),
  );
}

/**
 * Returns what decides which code a document runs. Returns nothing if the compose file cannot be read; the rule
 * unreadable-compose reports that.
 */
export function listCodeSources(document: AppCompose | undefined): readonly CodeSource[] {
  const { file } = readFile(document);
  const included = itemsOf(fieldOf(file, "include")).flatMap((item) => {
    return typeof item === "string" ? [item] : textsOf(fieldOf(item, "path"));
  });
  return [
    ...listWorkloads(file).flatMap(sourcesOf),
    ...entriesOf(fieldOf(file, "models")).flatMap(([name, model]) =>
      source("image", `Model ${name} is`, fieldOf(model, "model")),
    ),
    ...included.flatMap((path) => source("file", "The compose file includes", path)),
  ];
}

function sourcesOf({ who, settings }: Workload): CodeSource[] {
  const build = fieldOf(settings, "build") ?? undefined;
  const what = withinSentence(who);
  const imageVolumes = itemsOf(fieldOf(settings, "volumes")).filter((volume) => fieldOf(volume, "type") === "image");
  return [
    // The image of a service that is built is only the name of the result.
    ...(build === undefined ? source("image", `${who} runs`, fieldOf(settings, "image")) : []),
    ...(build === undefined ? [] : source("build", `${who} is built on the CVM from`, contextOf(build), build)),
    ...itemsOf(fieldOf(settings, "pre_start")).flatMap((step) =>
      source("image", `A step before the start of ${what} runs`, fieldOf(step, "image")),
    ),
    ...imageVolumes.flatMap((volume) => source("image", `A volume of ${what} is`, fieldOf(volume, "source"))),
    ...source("file", `${who} extends a service of`, fieldOf(fieldOf(settings, "extends"), "file")),
    ...source("provider", `${who} comes from the provider`, fieldOf(fieldOf(settings, "provider"), "type")),
  ];
}

function withinSentence(who: string): string {
  return `${who.charAt(0).toLowerCase()}${who.slice(1)}`;
}

function contextOf(build: unknown): unknown {
  if (typeof build === "string") return build;
  const context = fieldOf(build, "context") ?? ".";
  return fieldOf(build, "dockerfile_inline") === undefined ? context : "an inline Dockerfile";
}

function source(kind: CodeSource["kind"], use: string, reference: unknown, depends = reference): CodeSource[] {
  if (typeof reference !== "string") return [];
  return [
    {
      kind,
      use,
      reference,
      variables: variablesWithin(depends),
      isPinned: kind === "image" && /@sha256:[0-9a-f]{64}$/.test(reference),
    },
  ];
}

export const unreadableCompose: LintRule = {
  name: "unreadable-compose",
  severity: "warning",
  summary: "The compose file cannot be parsed, so its images were not checked.",
  check: ({ document }) => {
    const problem = composeProblem(document);
    if (problem === undefined) return [];
    return [
      {
        message: `No image was checked. ${problem}`,
        advice: "Update the app to a compose file of one YAML document that `docker compose config` accepts.",
      },
    ];
  },
};

export const mutableImage: LintRule = {
  name: "mutable-image",
  severity: "warning",
  summary: "An image has a tag instead of a digest. The tag can later point to other code under the same compose hash.",
  check: ({ document }) =>
    withoutVariables(document, "image").map(({ use, reference }) => {
      const problem = reference.includes("@")
        ? "whose digest does not have 64 lower-case hex digits"
        : "which has no digest";
      const name = reference.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
      return { message: `${use} ${reference}, ${problem}.`, advice: `Pin it: ${name}@sha256:…` };
    }),
};

/** Sources that a fixed reference does not determine. The rule image-from-variable reports the others. */
function withoutVariables(document: AppCompose | undefined, kind: CodeSource["kind"]): readonly CodeSource[] {
  return listCodeSources(document).filter((found) => {
    return found.kind === kind && found.variables.length === 0 && !found.isPinned;
  });
}

export const imageFromVariable: LintRule = {
  name: "image-from-variable",
  severity: "error",
  summary:
    "A variable of allowed_envs names an image, a build or another file, so the compose hash does not determine the code.",
  check: ({ document }) =>
    listCodeSources(document).flatMap(({ use, reference, variables, isPinned }) =>
      (isPinned ? [] : variables).map((variable) =>
        document?.allowed_envs?.includes(variable)
          ? {
              message: `${use} ${reference}, so the value of ${variable} decides which code runs under this hash.`,
              advice: `Write the image and its digest into the compose file, or remove ${variable} from allowed_envs.`,
            }
          : {
              message: `${use} ${reference}, but ${variable} is not in allowed_envs.`,
              advice: "Write the image and its digest into the compose file.",
              severity: "warning",
            },
      ),
    ),
};

/** Set by Docker Compose, by the guest, or by every shell. */
const setElsewhere = /^(?:(?:DSTACK|COMPOSE|DOCKER)_\w*|HOME|HOSTNAME|PATH|PWD|SHELL|USER)$/;

export const unsetVariable: LintRule = {
  name: "unset-variable",
  severity: "warning",
  summary:
    "The compose file needs a variable that is not in allowed_envs, so the guest discards it: it has no value on the CVM.",
  check: ({ document }) => {
    const inSources = listCodeSources(document).flatMap(({ variables }) => variables); // image-from-variable reports them
    const script = wordsOf(document?.pre_launch_script ?? "");
    return neededVariables(readFile(document).file)
      .filter((name) => !document?.allowed_envs?.includes(name) && !inSources.includes(name))
      .filter((name) => !script.has(name) && !setElsewhere.test(name))
      .map((name) => ({
        message: `The compose file needs ${name}, which nothing sets: it is not in allowed_envs.`,
        advice: `Set it in the environment, or give it a default in the compose file: \${${name}:-…}.`,
      }));
  },
};

function wordsOf(script: string): ReadonlySet<string> {
  return new Set(script.match(/\w+/g));
}

export const builtOnCvm: LintRule = {
  name: "built-on-cvm",
  severity: "warning",
  summary: "The CVM builds an image, so the compose hash does not determine the code.",
  check: ({ document }) =>
    withoutVariables(document, "build").map(({ use, reference }) => ({
      message: `${use} ${reference}, so the compose hash does not determine its code.`,
      advice: "Build the image beforehand, push it, and write its name and digest into the compose file.",
    })),
};

export const otherFile: LintRule = {
  name: "other-file",
  severity: "warning",
  summary: "The compose file includes or extends another file, which the compose hash does not cover.",
  check: ({ document }) =>
    withoutVariables(document, "file").map(({ use, reference }) => ({
      message: `${use} ${reference}, which the compose hash does not cover and which was not checked.`,
      advice: "Put everything into one file; `docker compose config` prints the merged file.",
    })),
};

export const providerProgram: LintRule = {
  name: "provider-program",
  severity: "warning",
  summary: "A service is started by a provider, a program that the compose hash does not determine.",
  check: ({ document }) =>
    withoutVariables(document, "provider").map(({ use, reference }) => ({
      message: `${use} ${reference}, a program that the compose hash does not determine.`,
      advice: "Run the service from an image that is named by its digest.",
    })),
};

export const engineSocket: LintRule = {
  name: "engine-socket",
  severity: "note",
  summary: "A service can use the Docker engine of the CVM, so it can run any image.",
  check: ({ document }) =>
    listWorkloads(readFile(document).file)
      .filter(({ settings }) => fieldOf(settings, "use_api_socket") === true || mountsOf(settings).some(isSocket))
      .map(({ who }) => ({
        message: `${who} can use the Docker engine of the CVM, so it can run any image.`,
        advice: "Make sure that the service starts no image that the compose file does not name.",
      })),
};

function isSocket({ from }: Mount): boolean {
  return /(?:docker|containerd|podman)\.sock$/.test(from);
}

export const commandFromVariable: LintRule = {
  name: "command-from-variable",
  severity: "warning",
  summary: "A variable of allowed_envs is the program or the shell script that a service starts.",
  check: ({ document }) =>
    listWorkloads(readFile(document).file).flatMap(({ who, settings }) => {
      const [program = "", ...words] = commandOf(settings);
      const scripts = isInterpreter(program) && words.some(isScriptOption) ? words : [];
      const variables = [program, ...scripts].flatMap(variablesOf);
      return [...new Set(variables)]
        .filter((variable) => document?.allowed_envs?.includes(variable))
        .map((variable) => ({
          message: `The value of ${variable} decides what ${withinSentence(who)} starts under this hash.`,
          advice: "Write the command into the compose file, and let it read the value from its environment.",
        }));
    }),
};

export const mountedProgram: LintRule = {
  name: "mounted-program",
  severity: "warning",
  summary: "A service starts a program or a script from a mount, whose content the compose file does not contain.",
  check: ({ document }) => {
    const { file } = readFile(document);
    return listWorkloads(file).flatMap(({ who, settings }): LintProblem[] => {
      const [program = "", ...words] = commandOf(settings);
      const started = [program, ...(isInterpreter(program) ? words : [])];
      const mounts = [...mountsOf(settings), ...filesOf(file, settings)];
      return started.flatMap((path) => {
        const mount = mounts.find(({ target }) => path === target || path.startsWith(`${target.replace(/\/$/, "")}/`));
        if (mount === undefined) return [];
        return [
          {
            message: `${who} starts ${path} from ${mount.from}, whose content the compose file does not contain.`,
            advice: "Put the file into the image, or into a config with `content`.",
          },
        ];
      });
    });
  },
};

/** Words of what a service starts. Without an entry point of its own, the image's entry point may come first. */
function commandOf(settings: unknown): string[] {
  return ["entrypoint", "command"].flatMap((name) => {
    const value = fieldOf(settings, name);
    return typeof value === "string" ? value.split(/\s+/).filter((word) => word !== "") : textsOf(value);
  });
}

function isInterpreter(program: string): boolean {
  return /(?:^|\/)(?:(?:ba|da|a|z)?sh|python[\d.]*|node|deno|bun|ruby|perl|php)$/.test(program);
}

function isScriptOption(word: string): boolean {
  return /^-\w*[ce]$/.test(word);
}

interface Mount {
  readonly from: string;
  readonly target: string;
}

/** Mounts of the CVM's files and of named volumes. An anonymous volume begins with the image's files. */
function mountsOf(settings: unknown): Mount[] {
  return itemsOf(fieldOf(settings, "volumes")).flatMap((volume) => {
    const short = typeof volume === "string" ? volume.split(":") : undefined;
    const isMount = short !== undefined || ["bind", "volume"].includes(String(fieldOf(volume, "type")));
    const [from, target] = short ?? [fieldOf(volume, "source"), fieldOf(volume, "target")];
    return isMount && typeof from === "string" && typeof target === "string" ? [{ from, target }] : [];
  });
}

/** Configs and secrets of a service whose content is not in the compose file. */
function filesOf(file: unknown, settings: unknown): Mount[] {
  return (
    [
      ["configs", "/"],
      ["secrets", "/run/secrets/"],
    ] as const
  ).flatMap(([section, folder]) =>
    itemsOf(fieldOf(settings, section)).flatMap((use) => {
      const name = typeof use === "string" ? use : fieldOf(use, "source");
      if (typeof name !== "string" || fieldOf(fieldOf(fieldOf(file, section), name), "content") !== undefined)
        return [];
      const target = fieldOf(use, "target") ?? name;
      if (typeof target !== "string") return [];
      return [
        { from: `the ${section.slice(0, -1)} ${name}`, target: target.startsWith("/") ? target : folder + target },
      ];
    }),
  );
}

function itemsOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function textsOf(value: unknown): string[] {
  return [value].flat().filter((item) => typeof item === "string");
}

/** Returns the names in `$NAME` and `${NAME…}`, those inside of defaults included. `$$` is an escaped dollar sign. */
function variablesOf(text: string): string[] {
  const found = text.replaceAll("$$", "").matchAll(/\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))/g);
  return Array.from(found, ([, braced, plain]) => braced ?? plain ?? "");
}

/** Returns the variables that a part of a compose file uses, each once. */
export function variablesWithin(value: unknown): string[] {
  return collectVariables(value, variablesOf);
}

/** Returns the variables that a part of a compose file uses without a default, each once. */
export function neededVariables(value: unknown): string[] {
  return collectVariables(value, (text) => variablesOf(withoutDefaults(text)));
}

/** `${NAME:-default}` or `${NAME:+alternative}`, with at most one level of braces inside. */
const withDefault = /\$\{[A-Za-z_]\w*:?[-+](?:[^{}]|\$\{[^{}]*\})*\}/g;

function withoutDefaults(text: string): string {
  const shorter = text.replaceAll("$$", "").replace(withDefault, "");
  return shorter === text ? text : withoutDefaults(shorter);
}

function collectVariables(value: unknown, namesIn: (text: string) => readonly string[]): string[] {
  const used = new Set<string>();
  const seen = new Set<object>();
  const walk = (inner: unknown): void => {
    if (typeof inner === "string") for (const name of namesIn(inner)) used.add(name);
    if (typeof inner !== "object" || inner === null || seen.has(inner)) return;
    seen.add(inner); // YAML anchors can put one object in several places
    for (const [key, item] of Object.entries(inner)) {
      if (key === "environment" || key === "args") for (const name of passedOn(item)) used.add(name);
      walk(item);
    }
  };
  walk(value);
  return [...used];
}

/**
 * Names without a value in the environment of a service or in the arguments of a build, and the name that a secret or a
 * config has as its `environment`. Docker takes their values from the CVM's environment.
 */
function passedOn(environment: unknown): string[] {
  if (typeof environment === "string") return [environment];
  if (Array.isArray(environment)) {
    return environment.filter((entry) => typeof entry === "string" && !entry.includes("="));
  }
  return entriesOf(environment).flatMap(([name, value]) => (value === null ? [name] : []));
}
