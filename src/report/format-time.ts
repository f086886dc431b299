/** `2026-11-21 03:00:00`, in UTC. @param time seconds since 1970, or ISO 8601 */
export function formatTime(time: bigint | string): string {
  const date = new Date(typeof time === "string" ? time : Number(time) * 1000);
  return date.toISOString().replace("T", " ").slice(0, 19);
}
