import { isMap } from "yaml";
import type { AppCompose } from "../app-compose.ts";
import { parseComposeYaml } from "../parse-compose-yaml.ts";

export interface ServiceImage {
  readonly service: string;
  readonly image: string;
  /** Names of the variables the reference is put together from, each once. */
  readonly variables: readonly string[];
  /** Whether it ends with a whole digest: that alone decides which code comes, whatever stands before it. */
  readonly isPinned: boolean;
}

/** The images of a document's services. None where its compose file cannot be read: others say so. */
export function listImages(document: AppCompose | undefined): readonly ServiceImage[] {
  const text = document?.docker_compose_file;
  if (typeof text !== "string") return [];
  return Object.entries(servicesOf(text)).flatMap(([service, settings]) => {
    const image = typeof settings === "object" && settings !== null && "image" in settings ? settings.image : undefined;
    if (typeof image !== "string") return [];
    return [{ service, image, variables: variablesOf(image), isPinned: /@sha256:[0-9a-f]{64}$/.test(image) }];
  });
}

function servicesOf(text: string): object {
  try {
    const document = parseComposeYaml(text);
    const { services } = isMap(document.contents) ? document.toJS({ maxAliasCount: 1000 }) : {};
    return typeof services === "object" && services !== null ? services : {};
  } catch {
    return {};
  }
}

/** `$NAME` and `${NAME…}`; `$$` is a dollar sign. */
function variablesOf(image: string): string[] {
  const found = image.replaceAll("$$", "").matchAll(/\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))/g);
  return [...new Set([...found].map(([, braced, plain]) => braced ?? plain ?? ""))];
}
