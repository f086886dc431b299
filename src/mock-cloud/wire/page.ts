import { z } from "zod";

/** Query of a list that comes in pages. */
export const pageQuery = z.object({
  page: z.coerce.number().int().min(1).default(1),
  page_size: z.coerce.number().int().min(1).max(1000).default(30),
});

export type PageQuery = z.infer<typeof pageQuery>;

export interface Page<Item> {
  readonly items: Item[];
  readonly total: number;
  readonly page: number;
  readonly page_size: number;
  readonly pages: number;
}

export function paginate<Item>(all: readonly Item[], { page, page_size }: PageQuery): Page<Item> {
  const from = (page - 1) * page_size;
  return {
    items: all.slice(from, from + page_size),
    total: all.length,
    page,
    page_size,
    pages: Math.ceil(all.length / page_size),
  };
}
