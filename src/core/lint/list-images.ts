import { isMap, parseDocument } from "yaml";
import type { AppCompose } from "../app-compose.ts";

export interface ServiceImage {
  readonly service: string;
  readonly image: string;
  /** Names of the variables the reference is put together from. */
  readonly variables: readonly string[];
}

/** The images of a document's services. None where its compose file cannot be read: others say so. */
export function listImages(document: AppCompose | undefined): readonly ServiceImage[] {
  const text = document?.docker_compose_file;
  if (typeof text !== "string") return [];
  return Object.entries(servicesOf(text)).flatMap(([service, settings]) => {
    const image = typeof settings === "object" && settings !== null && "image" in settings ? settings.image : undefined;
    return typeof image === "string" ? [{ service, image, variables: variablesOf(image) }] : [];
  });
}

function servicesOf(text: string): object {
  try {
    const document = parseDocument(text, { logLevel: "silent" });
    const { services } = isMap(document.contents) ? document.toJS({ maxAliasCount: 1000 }) : {};
    return typeof services === "object" && services !== null ? services : {};
  } catch {
    return {};
  }
}

/** `$NAME` and `${NAME…}`; `$$` is a dollar sign. */
function variablesOf(image: string): string[] {
  const found = image.replaceAll("$$", "").matchAll(/\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))/g);
  return [...found].map(([, braced, plain]) => braced ?? plain ?? "");
}
