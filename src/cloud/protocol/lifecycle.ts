import { z } from "zod";
import { flagSchema } from "./flag.ts";

/** `POST /cvms/{id}/restart`. */
export const restartCvmRequestSchema = z.looseObject({ force: flagSchema.nullish() });

export type RestartCvmRequest = z.infer<typeof restartCvmRequestSchema>;
