import type { ComposeHashForm } from "./compose-hash-form.ts";

export const rawBytesForm: ComposeHashForm = {
  name: "raw-bytes",
  description: "the document exactly as given, which is how a CVM measures its file",
  normalisation: "never",
  write: (text) => text,
};
