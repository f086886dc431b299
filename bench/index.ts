// `npm run bench`: figures are ratios against something in the same run; absolute ones only say what this machine does.
import { benchApi } from "./api.ts";
import { benchCli } from "./cli.ts";
import { benchComposeHash } from "./compose-hash.ts";
import { benchUpdate } from "./update.ts";

for (const bench of [benchUpdate, benchComposeHash, benchApi, benchCli]) {
  const { title, rows, note } = await bench();
  console.log(`\n${title}`);
  console.table(rows);
  if (note !== undefined) console.log(note);
}
process.exit();
