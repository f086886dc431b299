import data from "./settings.json" with { type: "json" };

type Verdict = "accepted" | "refused";

const verdicts: readonly Verdict[] = ["accepted", "refused"];
const lists = ["ports", "volumes"];

/** Files that differ in the text of one setting or in a tab, with Docker Compose's verdict on each. */
export const settingFiles: readonly (readonly [Verdict, string, string])[] = verdicts.flatMap((verdict) => [
  ...Object.entries(data.settings[verdict]).flatMap(([setting, texts]) =>
    texts.map((text) => [verdict, `${setting}: ${JSON.stringify(text)}`, fileWith(setting, text)] as const),
  ),
  ...data.tabs[verdict].map((text) => [verdict, `tabs in ${JSON.stringify(text)}`, text] as const),
]);

function fileWith(setting: string, text: string): string {
  const value = JSON.stringify(lists.includes(setting) ? [text] : text);
  return `services:\n  web:\n    image: nginx\n    ${setting}: ${value}\nvolumes:\n  data:\n`;
}
