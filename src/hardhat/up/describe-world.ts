import type { AttachedWorld } from "../../world/attach-world.ts";
import type { World } from "../../world/start-world.ts";

/** What a program, or a person, must know to use a world. */
export type WorldDescription = ReturnType<typeof describeWorld>;

export function describeWorld(world: World | AttachedWorld, adminKey: string | undefined) {
  const { chain, contracts, cloud, cvms, environment } = world;
  return {
    apiUrl: cloud.baseUrl,
    openApiUrl: `${cloud.url}/openapi.json`,
    adminUrl: adminKey === undefined ? undefined : `${cloud.url}/admin`,
    rpcUrl: chain.rpcUrl,
    chainId: chain.id,
    kms: contracts.kms,
    appImplementation: contracts.appImplementation,
    owner: world.owner?.address,
    cvms,
    environment: {
      ...environment,
      ...(cvms.onChain && { ONCHAIN_CVM: cvms.onChain.name }),
      ...(cvms.offChain && { OFFCHAIN_CVM: cvms.offChain.name }),
      ...(adminKey !== undefined && { DSTACK_CLOUD_ADMIN_KEY: adminKey }),
    },
    /** What this world lacks, as one sentence. */
    note: "missing" in world ? world.missing : undefined,
    /** Why updates cannot prove the key of an environment here, as one sentence. */
    keyNote: "unprovable" in world ? world.unprovable : undefined,
  };
}

/** The description as shell: every line is an export or a comment, so all of it can be pasted. */
export function toShell(description: WorldDescription): string {
  const { apiUrl, openApiUrl, adminUrl, rpcUrl, chainId, kms, cvms, note, keyNote, environment } = description;
  const facts = [
    `cloud API  ${apiUrl}`,
    `OpenAPI    ${openApiUrl}`,
    ...(adminUrl === undefined ? [] : [`admin      ${adminUrl}`]),
    `chain RPC  ${rpcUrl}, chain id ${chainId}`,
    `DstackKms  ${kms}`,
    ...Object.values(cvms).map(({ name, appId }) => `CVM        ${name}, app ${appId}`),
    ...[note, keyNote].flatMap((sentence) => sentence ?? []),
  ];
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`);
  return [...facts.map((fact) => `# ${fact}`), ...exports, ""].join("\n");
}

function quote(value: string): string {
  return /^[\w.:/-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
