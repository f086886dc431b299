import type { Server } from "node:net";
import { apiBasePath } from "../../cloud/protocol.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { Cvm } from "../store/cvms.ts";

/** URLs of this cloud for its answers. They never contain the host name that a request used. */
export interface Links {
  /** @param path below the API's base path, such as `/auth/device` */
  api(path: string): string;
  /** The page where a person commits a prepared update. */
  commitPage(cvm: Pick<Cvm, "vmUuid">): string;
  /** The log of the guest or, with its id, of a container. */
  logs(cvm: Pick<Cvm, "vmUuid">, container?: string): string;
}

/**
 * @param publicUrl used instead of the address that the server listens on
 * @throws InvalidArgumentError
 */
export function createLinks(publicUrl: string | undefined, address: Server["address"]): Links {
  const own = publicUrl === undefined ? undefined : parsePublicUrl(publicUrl);
  const origin = () => own ?? listeningUrl(address());
  return {
    api: (path) => `${origin()}${apiBasePath}${path}`,
    commitPage: (cvm) => `${origin()}${commitPagePath(cvm)}`,
    logs: (cvm, container) => `${origin()}${logsPath(cvm, container)}`,
  };
}

export function commitPagePath({ vmUuid }: Pick<Cvm, "vmUuid">): string {
  return `/commit/${vmUuid}`;
}

export function logsPath({ vmUuid }: Pick<Cvm, "vmUuid">, container?: string): string {
  return `/logs/${vmUuid}${container === undefined ? "" : `/${container}`}`;
}

/** URL of a TCP server. A server that listens on all addresses, or on no socket, gets a loopback URL. */
export function listeningUrl(address: ReturnType<Server["address"]>): string {
  if (address === null || typeof address === "string") return "http://127.0.0.1";
  const { address: ip, family, port } = address;
  const name = family === "IPv6" ? `[${ip === "::" ? "::1" : ip}]` : ip === "0.0.0.0" ? "127.0.0.1" : ip;
  return `http://${name}:${port}`;
}

/** @throws InvalidArgumentError */
function parsePublicUrl(raw: string): string {
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin;
  throw new InvalidArgumentError("publicUrl must be an http or https URL without path and credentials.", {
    nextStep: "Give a URL such as https://cloud.example.",
  });
}
