/** The largest document an answer can hold is a 200 KiB compose file; this leaves room for everything around it. */
export const maximumBodyBytes = 8 * 1024 * 1024;

/** @throws RangeError if the body is longer than the limit; the rest is not read */
export async function readBody(response: Response, limit = maximumBodyBytes): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > limit) throw new RangeError(`the body is longer than ${limit} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
