import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import {
  type ApiVersion,
  appCvmsAreAllowedSchema,
  appIsAllowedRequestSchema,
  cvmIsAllowedRequestSchema,
  deviceAllowlistSchema,
  type IsAllowed,
  isAllowedSchema,
} from "../../cloud/protocol.ts";
import { type ComposeHash, type DeviceId, parseDeviceId, withoutPrefix } from "../../core/ids.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import { toCvmId } from "../http/cvm-answers.ts";
import { parseAt, parseComposeHashField } from "../http/requests.ts";
import { appParams, cvmParams, refusals, versionHeaders } from "../http/schemas.ts";
import { findAppCvms } from "../services/find.ts";
import type { KmsRuntime } from "../services/kms.ts";
import { readAppPolicy } from "../services/onchain-policy.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { OnchainStatus } from "../verification/read-registration.ts";
import { namedCvm } from "./cvms.ts";

export interface AppPolicyRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
}

interface Question {
  readonly cvm: Cvm;
  readonly composeHash: ComposeHash;
  readonly deviceId: DeviceId;
}

/** What an app's contract allows. Each request reads it from the chain. */
export const appPolicyRoutes: FastifyPluginAsyncZod<AppPolicyRoutesOptions> = async (app, { store, kmsRuntime }) => {
  const tags = ["policy"];

  const read = ({ cvm, composeHash, deviceId }: Question) =>
    readAppPolicy(kmsRuntime, store.platform.placeOf(cvm).kms, cvm, { composeHash, deviceId });

  /** The requested device, or the requested node's device, or else the device of the CVM's node. */
  function readDevice(body: { node_id?: number | null; device_id?: string | null }, cvm: Cvm): DeviceId {
    const { device_id: raw, node_id: nodeId } = body;
    if (raw) return parseAt(["body", "device_id"], () => parseDeviceId(raw));
    if (nodeId === null || nodeId === undefined) return store.platform.placeOf(cvm).node.deviceId;
    const node = store.platform.findNode(nodeId);
    if (!node) throw new InvalidRequestError(["body", "node_id"], `There is no node ${nodeId}.`);
    return node.deviceId;
  }

  app.post(
    "/cvms/:cvm_id/is-allowed",
    {
      schema: {
        tags,
        summary: "Whether the contract allows this CVM to boot",
        params: cvmParams,
        headers: versionHeaders,
        body: cvmIsAllowedRequestSchema.nullish(),
        response: { ...refusals, 200: isAllowedSchema },
      },
    },
    async (request) => {
      const cvm = namedCvm(store, request);
      const body = request.body ?? {};
      const { compose_hash: hash } = body;
      const question = {
        cvm,
        composeHash: hash ? parseComposeHashField(hash, ["body", "compose_hash"]) : cvm.composeHash,
        deviceId: readDevice(body, cvm),
      };
      return { cvm_id: toCvmId(cvm, request.apiVersion), ...toIsAllowed(question, await read(question)) };
    },
  );

  app.post(
    "/apps/:app_id/is-allowed",
    {
      schema: {
        tags,
        summary: "Whether the contract allows a document on a device; by default, the device of the app's first CVM",
        params: appParams,
        body: appIsAllowedRequestSchema,
        response: { ...refusals, 200: isAllowedSchema },
      },
    },
    async ({ params, principal, body }) => {
      const [cvm] = findAppCvms(store.cvms, principal.workspace.id, params.app_id);
      const { chainId } = store.platform.placeOf(cvm).kms;
      if (typeof body.chain_id === "number" && body.chain_id !== chainId) {
        throw new InvalidRequestError(["body", "chain_id"], `The app is on chain ${chainId ?? "none"}.`);
      }
      const composeHash = parseComposeHashField(body.compose_hash, ["body", "compose_hash"]);
      const question = { cvm, composeHash, deviceId: readDevice(body, cvm) };
      return toIsAllowed(question, await read(question));
    },
  );

  app.post(
    "/apps/:app_id/cvms/is-allowed",
    {
      schema: {
        tags,
        summary: "Which CVMs of an app the contract allows to boot",
        params: appParams,
        headers: versionHeaders,
        response: { ...refusals, 200: appCvmsAreAllowedSchema },
      },
    },
    async ({ params, principal, apiVersion }) => {
      const cvms = findAppCvms(store.cvms, principal.workspace.id, params.app_id);
      const isOnChain = store.platform.placeOf(cvms[0]).kms.chainId !== null;
      const results = isOnChain ? await Promise.all(cvms.map((cvm) => judge(cvm, apiVersion))) : [];
      const count = (matches: (result: IsAllowed) => boolean) => results.filter(matches).length;
      return {
        is_onchain: isOnChain,
        results,
        total: cvms.length,
        allowed_count: count(({ is_allowed }) => is_allowed),
        denied_count: count(({ is_allowed, error }) => !is_allowed && error === null),
        error_count: count(({ error }) => error !== null),
        skipped_cvm_ids: isOnChain ? [] : cvms.map((cvm) => toCvmId(cvm, apiVersion)),
      };
    },
  );

  async function judge(cvm: Cvm, version: ApiVersion): Promise<IsAllowed> {
    const question = { cvm, composeHash: cvm.composeHash, deviceId: store.platform.placeOf(cvm).node.deviceId };
    const id = { cvm_id: toCvmId(cvm, version) };
    try {
      return { ...id, ...toIsAllowed(question, await read(question)) };
    } catch (error) {
      if (error instanceof ApiError) return { ...id, ...toIsAllowed(question, unknownStatus), error: error.message };
      throw error;
    }
  }

  app.get(
    "/apps/:app_id/device-allowlist",
    {
      schema: {
        tags,
        summary: "The cloud's devices, and whether the contract lists them",
        params: appParams,
        headers: versionHeaders,
        response: { ...refusals, 200: deviceAllowlistSchema },
      },
    },
    async ({ params, principal, apiVersion }) => {
      const cvms = findAppCvms(store.cvms, principal.workspace.id, params.app_id);
      const [first] = cvms;
      const { kms } = store.platform.placeOf(first);
      if (kms.chainId === null) {
        return {
          is_onchain_kms: false,
          allow_any_device: null,
          chain_id: null,
          app_contract_address: null,
          devices: [],
        };
      }
      const { composeHash } = first;
      const readings = await Promise.all(
        store.platform.listNodes().map(async (node) => {
          const { isDeviceListed, isAnyDeviceAllowed } = await read({
            cvm: first,
            composeHash,
            deviceId: node.deviceId,
          });
          const device = {
            device_id: withoutPrefix(node.deviceId),
            node_name: node.name,
            cvm_ids: cvms.filter(({ nodeId }) => nodeId === node.id).map((cvm) => toCvmId(cvm, apiVersion)),
            allowed_onchain: isDeviceListed,
            status: isDeviceListed || isAnyDeviceAllowed ? "allowed" : "not_allowed",
          };
          return { device, isAnyDeviceAllowed };
        }),
      );
      return {
        is_onchain_kms: true,
        allow_any_device: readings.some(({ isAnyDeviceAllowed }) => isAnyDeviceAllowed),
        chain_id: kms.chainId,
        app_contract_address: first.appId,
        devices: readings.map(({ device }) => device),
      };
    },
  );
};

const unknownStatus: OnchainStatus = {
  isHashAllowed: false,
  isDeviceAllowed: false,
  isAnyDeviceAllowed: false,
  isDeviceListed: false,
};

function toIsAllowed({ cvm, composeHash, deviceId }: Question, status: OnchainStatus): IsAllowed {
  return {
    app_contract_address: cvm.appId,
    compose_hash: withoutPrefix(composeHash),
    device_id: withoutPrefix(deviceId),
    compose_hash_allowed: status.isHashAllowed,
    allow_any_device: status.isAnyDeviceAllowed,
    device_id_allowed: status.isDeviceListed,
    is_allowed: status.isHashAllowed && status.isDeviceAllowed,
    error: null,
  };
}
