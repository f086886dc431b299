/** `2026-11-21 03:00:00`, in UTC. @param timestamp seconds since 1970 */
export function formatTime(timestamp: bigint): string {
  return new Date(Number(timestamp) * 1000).toISOString().replace("T", " ").slice(0, 19);
}
