import { fetchWithoutRedirects } from "../../chain/client.ts";

/** Longest pause an endpoint may ask for, in seconds. viem keeps to what it reads, for hours if need be. */
const longestPause = 30;

/** Leaves out a Retry-After nobody would wait for, so that the refusal is told after the usual few attempts. */
export const impatientFetch: typeof fetch = async (input, init) => {
  const response = await fetchWithoutRedirects(input, init);
  const wanted = response.headers.get("retry-after");
  if (wanted === null || Number(wanted) <= longestPause) return response;
  const headers = new Headers(response.headers);
  headers.delete("retry-after");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
};
