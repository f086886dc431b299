import { firstTables } from "./0001-first-tables.ts";
import { lifecycleAndTokens } from "./0002-lifecycle-and-tokens.ts";
import { fleet } from "./0003-fleet.ts";
import { clockAndWebhooks } from "./0004-clock-and-webhooks.ts";
import { slowRollovers } from "./0005-slow-rollovers.ts";

/** In the order they are applied; a released one never changes. Position + 1 is the schema's version. */
export const migrations: readonly string[] = [firstTables, lifecycleAndTokens, fleet, clockAndWebhooks, slowRollovers];
