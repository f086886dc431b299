import { InvalidAppComposeError } from "../../errors/index.ts";
import type { AppCompose } from "../app-compose.ts";
import { readComposeServices } from "../docker-compose.ts";
import type { LintRule } from "./rule.ts";

export interface ServiceImage {
  readonly service: string;
  readonly image: string;
  /** Names of the variables in the reference, each once. */
  readonly variables: readonly string[];
  /** Whether the reference ends with a full digest. The digest alone decides which image is pulled. */
  readonly isPinned: boolean;
}

/**
 * Returns the images of a document's services. Returns none if the compose file cannot be read; the rule
 * unreadable-compose reports that.
 */
export function listImages(document: AppCompose | undefined): readonly ServiceImage[] {
  const { services } = readServices(document);
  return Object.entries(services).flatMap(([service, settings]) => {
    const image = typeof settings === "object" && settings !== null && "image" in settings ? settings.image : undefined;
    if (typeof image !== "string") return [];
    return [{ service, image, variables: variablesOf(image), isPinned: /@sha256:[0-9a-f]{64}$/.test(image) }];
  });
}

/** Returns why the services of a document cannot be read. Undefined if they can, or if there is no compose file. */
export function composeProblem(document: AppCompose | undefined): string | undefined {
  return readServices(document).problem;
}

function readServices(document: AppCompose | undefined): {
  readonly services: Readonly<Record<string, unknown>>;
  readonly problem?: string;
} {
  const text = document?.docker_compose_file;
  if (!text || document?.runner === "bash") return { services: {} };
  try {
    return { services: readComposeServices(text) };
  } catch (error) {
    if (!(error instanceof InvalidAppComposeError)) throw error;
    return { services: {}, problem: error.message };
  }
}

/** Returns the variables in `$NAME` and `${NAME…}`. `$$` is an escaped dollar sign. */
export function variablesOf(image: string): string[] {
  const found = image.replaceAll("$$", "").matchAll(/\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))/g);
  return [...new Set([...found].map(([, braced, plain]) => braced ?? plain ?? ""))];
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
    listImages(document)
      .filter(({ variables, isPinned }) => variables.length === 0 && !isPinned)
      .map(({ service, image }) => {
        const problem = image.includes("@")
          ? "whose digest does not have 64 lower-case hex digits"
          : "which has no digest";
        const name = image.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
        return { message: `Service ${service} runs ${image}, ${problem}.`, advice: `Pin it: ${name}@sha256:…` };
      }),
};

export const imageFromVariable: LintRule = {
  name: "image-from-variable",
  severity: "error",
  summary: "An image is named by a variable of allowed_envs, so the compose hash does not determine the code.",
  check: ({ document }) =>
    listImages(document).flatMap(({ service, image, variables, isPinned }) =>
      (isPinned ? [] : variables).map((variable) =>
        document?.allowed_envs?.includes(variable)
          ? {
              message: `Service ${service} runs ${image}, so the value of ${variable} decides which code runs under this hash.`,
              advice: `Write the image and its digest into the compose file, or remove ${variable} from allowed_envs.`,
            }
          : {
              message: `Service ${service} runs ${image}, but ${variable} is not in allowed_envs.`,
              advice: "Write the image and its digest into the compose file.",
              severity: "warning",
            },
      ),
    ),
};
