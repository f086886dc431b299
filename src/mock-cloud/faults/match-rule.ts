import type { ResolvedFaultRule } from "./rule.ts";

/** A moment at which a fault may strike. */
export interface Occasion {
  /** Hashid; undefined where no CVM, or none of the caller's, is concerned. */
  readonly cvm?: string | undefined;
  readonly method?: string;
  /** Path of a request below `/api/v1`, and the pattern of the endpoint it is for. */
  readonly path?: string;
  readonly route?: string;
  readonly rpcMethod?: string;
  readonly event?: string;
}

/** Whether a rule is about this moment. */
export function matchRule(rule: ResolvedFaultRule, occasion: Occasion): boolean {
  if (rule.cvm !== undefined && rule.cvm !== occasion.cvm) return false;
  if ("method" in rule && rule.method !== undefined && rule.method.toUpperCase() !== occasion.method) return false;
  if ("rpcMethod" in rule && rule.rpcMethod !== undefined && rule.rpcMethod !== occasion.rpcMethod) return false;
  if ("event" in rule && rule.event !== undefined && rule.event !== occasion.event) return false;
  if ("route" in rule && rule.route !== undefined) return matchRoute(rule.route, occasion);
  return true;
}

/** A parameter matches a parameter of any name, a word the same word in pattern or path. */
function matchRoute(wanted: string, { route = "", path = "" }: Occasion): boolean {
  const inRoute = route.split("/");
  const inPath = path.split("/");
  const parts = wanted.split("/");
  if (parts.length !== inRoute.length || parts.length !== inPath.length) return false;
  return parts.every((part, index) => {
    if (part === "*") return true;
    const isParameter = inRoute[index]?.startsWith(":") ?? false;
    if (/^(?::.+|\{.+\})$/.test(part)) return isParameter;
    return part === inPath[index];
  });
}
