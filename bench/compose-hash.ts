import { getComposeHash } from "@phala/cloud";
import { Bench } from "tinybench";
import { buildAppCompose } from "../src/core/app-compose.ts";
import { computeComposeHash } from "../src/core/compose-hash.ts";
import type { BenchReport } from "./report.ts";

/** Documents per second of our canonical hash, compared with the hash function of the official SDK. */
export async function benchComposeHash(): Promise<BenchReport> {
  const rows = [];
  for (const [size, services] of [
    ["1 service", 1],
    ["20 services", 20],
    ["400 services", 400],
  ] as const) {
    const document = buildAppCompose({ dockerCompose: dockerComposeOf(services), name: "bench" });
    const bench = new Bench({ time: 500, warmupTime: 100 });
    bench.add("ours", () => computeComposeHash(document));
    bench.add("sdk", () => getComposeHash(document as Parameters<typeof getComposeHash>[0]));
    await bench.run();
    const [ours, sdk] = bench.tasks.map((task) =>
      "throughput" in task.result ? task.result.throughput.mean : Number.NaN,
    );
    rows.push({
      document: `${size} (${(document.docker_compose_file?.length ?? 0).toLocaleString("en-US")} characters)`,
      "ours /s": Math.round(ours ?? Number.NaN),
      "@phala/cloud /s": Math.round(sdk ?? Number.NaN),
      "ours : SDK": ((ours ?? Number.NaN) / (sdk ?? Number.NaN)).toFixed(2),
    });
  }
  return { title: "Compose hash throughput", rows };
}

function dockerComposeOf(services: number): string {
  const blocks = Array.from(
    { length: services },
    (_, index) =>
      `  service-${index}:\n    image: registry.example/app-${index}@sha256:${"ab".repeat(32)}\n    environment:\n      - MODE=production\n      - INDEX=${index}\n    restart: always\n`,
  );
  return `services:\n${blocks.join("")}`;
}
