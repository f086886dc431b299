import type { CommitTokenInfo } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { PreparedUpdate } from "../services/prepared-updates.ts";
import type { Kms, Node } from "../store/platform.ts";
import type { OnchainStatus } from "../verification/read-registration.ts";
import { toKmsInfo } from "./platform-answers.ts";
import { toOnchainStatus } from "./update-answers.ts";

export function toCommitTokenInfo(
  { cvm, pending, state }: PreparedUpdate,
  { kms, node }: { readonly kms: Kms; readonly node: Node },
  onchain: OnchainStatus | undefined,
): CommitTokenInfo {
  return {
    status: state,
    cvm_name: cvm.name,
    vm_uuid: cvm.vmUuid,
    app_id: withoutPrefix(cvm.appId),
    compose_hash: withoutPrefix(pending.composeHash),
    current_compose_hash: withoutPrefix(cvm.composeHash),
    device_id: withoutPrefix(node.deviceId),
    kms_info: toKmsInfo(kms),
    ...(onchain && { onchain_status: toOnchainStatus(onchain) }),
    created_at: toIsoTime(pending.createdAt),
    expires_at: toIsoTime(pending.expiresAt),
    correlation_id: pending.correlationId,
  };
}

/** Renders the page behind a commit link: the prepared update, what to register on chain, and a button that commits. */
export function renderCommitPage(info: CommitTokenInfo, token: string): string {
  const { onchain_status: onchain, kms_info: kms } = info;
  const fields: [name: string, value: string][] = [
    ["CVM", `${info.cvm_name} (${info.vm_uuid})`],
    ["State of this token", info.status],
    ["App contract", `0x${info.app_id} on chain ${kms.chain_id ?? "none"}`],
    ["Compose hash now", `0x${info.current_compose_hash}`],
    ["Compose hash to register", `0x${info.compose_hash}`],
    ["Device", `0x${info.device_id}`],
    ["Hash registered", onchain ? yesOrNo(onchain.compose_hash_allowed) : "the chain gave no answer"],
    ["Device allowed", onchain ? yesOrNo(onchain.device_id_allowed) : "the chain gave no answer"],
    ["Expires", info.expires_at],
  ];
  const form = `<form method="post" action="?token=${encodeURIComponent(token)}">
<label>Transaction that registered the hash (optional) <input name="transaction_hash" size="68"></label>
<button>Commit</button>
</form>`;
  return page(`<h1>Update waiting for its registration</h1>
<dl>${fields.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd><code>${escapeHtml(value)}</code></dd>`).join("")}</dl>
<p>The owner calls <code>addComposeHash</code> on the app contract with the hash to register.</p>
${info.status === "pending" ? form : ""}`);
}

export function renderCommitResult(message: string): string {
  return page(`<p>${escapeHtml(message)}</p>`);
}

function page(content: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Commit an update</title>${content}</html>`;
}

function yesOrNo(value: boolean): string {
  return value ? "yes" : "no";
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
