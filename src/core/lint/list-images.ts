import { InvalidAppComposeError } from "../../errors/index.ts";
import type { AppCompose } from "../app-compose.ts";
import { readComposeServices } from "../check-docker-compose.ts";

export interface ServiceImage {
  readonly service: string;
  readonly image: string;
  /** Names of the variables the reference is put together from, each once. */
  readonly variables: readonly string[];
  /** Whether it ends with a whole digest: that alone decides which code comes, whatever stands before it. */
  readonly isPinned: boolean;
}

/** The images of a document's services. None where its compose file cannot be read: the rule unreadable-compose says so. */
export function listImages(document: AppCompose | undefined): readonly ServiceImage[] {
  const { services } = readServices(document);
  return Object.entries(services).flatMap(([service, settings]) => {
    const image = typeof settings === "object" && settings !== null && "image" in settings ? settings.image : undefined;
    if (typeof image !== "string") return [];
    return [{ service, image, variables: variablesOf(image), isPinned: /@sha256:[0-9a-f]{64}$/.test(image) }];
  });
}

/** Why the compose file of a document tells nothing of its services; undefined where it does, or there is none. */
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

/** `$NAME` and `${NAME…}`; `$$` is a dollar sign. */
export function variablesOf(image: string): string[] {
  const found = image.replaceAll("$$", "").matchAll(/\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))/g);
  return [...new Set([...found].map(([, braced, plain]) => braced ?? plain ?? ""))];
}
