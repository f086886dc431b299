/** A failure as the client reported it: its own error class, with what that says about the answer. */
export class ClientError extends Error {
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly detail: unknown;

  constructor(error: { name: string; message: string; status?: number; code?: string; detail?: unknown }) {
    super(`${error.name}: ${error.message}`);
    this.status = error.status ?? undefined;
    this.code = error.code ?? undefined;
    this.detail = error.detail;
  }
}

/** The client has no function for this operation. */
export class MethodMissingError extends Error {}
