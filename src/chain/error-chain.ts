/** The fields libraries and nodes put what they know into. */
export interface ErrorLink {
  readonly code?: unknown;
  readonly data?: unknown;
  readonly details?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
}

const longestChain = 10;

/** An error and its causes, outermost first: viem wraps what the transport threw, and that what the node said. */
export function errorChain(error: unknown): readonly ErrorLink[] {
  const chain: ErrorLink[] = [];
  for (let link: unknown = error; isLink(link) && chain.length < longestChain; link = link.cause) chain.push(link);
  return chain;
}

/** The node's words, where viem has kept them apart from its own. */
export function errorText({ details, message }: ErrorLink): string {
  return [details, message].find((text) => typeof text === "string" && text !== "")?.toString() ?? "";
}

function isLink(value: unknown): value is ErrorLink {
  return typeof value === "object" && value !== null;
}
