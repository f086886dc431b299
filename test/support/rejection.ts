/** What the promise was rejected with; a promise that is fulfilled instead fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const value = await promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  );
  if ("reason" in value) return value.reason;
  throw new Error(`Should have been rejected, but was fulfilled with ${String(value.value)}.`);
}
