import { createSafeService, type SafeService } from "../governance/safe-service.ts";
import type { CommandHost } from "./host.ts";

export interface SafeServiceArguments {
  /** Address of a Safe transaction service, or none. */
  readonly service?: string | undefined;
}

/** The Safe transaction service that the user named. Undefined if none is named. @throws InvalidArgumentError */
export async function openService(
  { service }: SafeServiceArguments,
  { settings }: Pick<CommandHost, "settings">,
): Promise<SafeService | undefined> {
  const url = service ?? settings.safe.service;
  if (url === undefined || url === "none") return undefined;
  return createSafeService({ url, apiKey: await settings.safe.apiKey.get() });
}
