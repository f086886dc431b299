import { z } from "zod";

/** A flag of a request. The CLI writes some as 1 and 0. */
export const flagSchema = z.union([z.boolean(), z.literal(1), z.literal(0)]);
