import { z } from "zod";
import type { UserConfig } from "../../cloud/protocol.ts";

const knownParts = z.looseObject({
  hostname: z.string().nullish().catch(null),
  default_gateway_domain: z.string().nullish().catch(null),
  ssh_authorized_keys: z.array(z.string()).nullish().catch(null),
});

/** The parts of a user config the API knows. The text is the owner's and may be anything; the guest gets it as it is. */
export function readUserConfig(text: string | null): UserConfig {
  const known = knownParts.safeParse(parseJson(text ?? "{}")).data;
  return {
    hostname: known?.hostname ?? null,
    default_gateway_domain: known?.default_gateway_domain ?? null,
    ssh_authorized_keys: known?.ssh_authorized_keys ?? [],
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
