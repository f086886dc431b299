import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { currentUser20251028Schema, currentUser20260121Schema, isAtLeast } from "../../cloud/protocol.ts";
import { refusals, versionHeaders } from "./schemas.ts";

export const authRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    "/auth/me",
    {
      schema: {
        tags: ["auth"],
        summary: "Who the API key belongs to",
        headers: versionHeaders,
        response: { ...refusals, 200: z.union([currentUser20260121Schema, currentUser20251028Schema]) },
      },
    },
    async ({ principal, apiVersion }) => {
      const { workspace, username, email } = principal;
      if (!isAtLeast(apiVersion, "2026-01-21")) {
        return {
          username,
          email,
          credits: 0,
          granted_credits: 0,
          avatar: "",
          team_name: workspace.name,
          team_tier: "free",
        };
      }
      return {
        user: {
          username,
          email,
          role: "user" as const,
          avatar: "",
          email_verified: true,
          totp_enabled: false,
          has_backup_codes: false,
          flag_has_password: true,
        },
        workspace: { id: workspace.id, name: workspace.name, slug: workspace.slug, tier: "free", role: "owner" },
        credits: { balance: "0", granted_balance: "0", is_post_paid: false, outstanding_amount: null },
      };
    },
  );
};
