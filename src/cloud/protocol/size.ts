import { z } from "zod";

/**
 * A number of vCPUs, megabytes or gigabytes that a client asks for. Python writes it as a float, such as `4.0`. The
 * bound is far above any machine; without one a request could name a size that no answer can state.
 */
export const sizeSchema = z
  .number()
  .int()
  .min(1)
  .max(2 ** 24);
