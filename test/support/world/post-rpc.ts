/** Posts a body as it is and answers what came back as JSON. */
export async function postRpc<Answer>(url: string, body: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return (await response.json()) as Answer; // the test knows what it asked
}
