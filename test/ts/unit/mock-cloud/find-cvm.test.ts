import { expect } from "chai";
import { parseAppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { ApiError } from "../../../../src/mock-cloud/errors.ts";
import { findCvm } from "../../../../src/mock-cloud/services/find.ts";
import type { Cvm } from "../../../../src/mock-cloud/store/cvms.ts";
import { openStore, type Store } from "../../../../src/mock-cloud/store/store.ts";

describe("findCvm", () => {
  let store: Store;
  let inserted = 0;

  beforeEach(() => {
    store = openStore(":memory:");
    store.workspaces.save({ id: "ws_1", name: "One", slug: "one" }, 0);
    store.workspaces.save({ id: "ws_2", name: "Two", slug: "two" }, 0);
    store.platform.saveKms({
      id: "kms_1",
      slug: "kms-1",
      type: "phala",
      url: "https://kms.example",
      version: "1",
      chainId: null,
      contractAddress: null,
      gatewayAppId: null,
    });
    const deviceId = parseDeviceId("de".repeat(32));
    const capacity = { vcpu: 8, memoryMb: 8192, cvmSlots: 8 };
    const node = { id: 1, name: "n", region: "r", deviceId, tcbStatus: "UpToDate", advisoryIds: [], capacity };
    store.platform.saveNode(node);
  });
  afterEach(() => store.close());

  function insert(changes: Partial<Cvm>): Cvm {
    inserted += 1;
    return store.cvms.insert({
      hashid: `cvm_${inserted}`,
      vmUuid: `00000000-0000-4000-8000-${String(inserted).padStart(12, "0")}`,
      workspaceId: "ws_1",
      name: `cvm-number-${inserted}`,
      appId: parseAppId("a1".repeat(20)),
      instanceId: `0x${"b2".repeat(20)}`,
      kmsId: "kms_1",
      nodeId: 1,
      nextNodeId: null,
      appNonce: null,
      status: "running",
      bootError: null,
      composeText: "{}",
      composeHash: parseComposeHash("c3".repeat(32)),
      encryptedEnv: null,
      settings: {
        instanceType: "tdx.small",
        vcpu: 1,
        memoryMb: 2048,
        diskGb: 40,
        osImage: "dstack",
        listed: false,
        userConfig: null,
        shutdownTimeout: null,
        allowForceStop: null,
        gpus: null,
      },
      deployerAddress: null,
      createdAt: 0,
      updatedAt: 0,
      ...changes,
    });
  }

  function refusal(identifier: string): ApiError {
    try {
      findCvm(store.cvms, "ws_1", identifier);
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
    throw new Error(`${identifier} was found`);
  }

  it("names the candidates of an app id that several CVMs share", () => {
    const twins = [insert({}), insert({})];
    const error = refusal(`app_${"a1".repeat(20)}`);
    expect(error).to.include({ status: 400, errorCode: "ERR-03-010" });
    expect(error.options.details).to.deep.equal([{ field: "cvm_ids", value: twins.map(({ hashid }) => hashid) }]);
  });

  it("refuses a name of two CVMs with an error code of its own", () => {
    insert({ name: "twin-name" });
    insert({ name: "twin-name" });
    expect(refusal("twin-name")).to.include({ status: 400, errorCode: "ERR-03-002" });
  });

  it("prefers an app's id to an instance id with the same digits", () => {
    const instanceId = parseAppId("d4".repeat(20));
    const ofInstance = insert({ instanceId });
    expect(findCvm(store.cvms, "ws_1", instanceId).id).to.equal(ofInstance.id);
    const ofApp = insert({ appId: instanceId });
    expect(findCvm(store.cvms, "ws_1", instanceId).id).to.equal(ofApp.id);
  });

  it("does not find CVMs of other workspaces", () => {
    const own = insert({ name: "same-name" });
    insert({ name: "same-name", workspaceId: "ws_2" });
    expect(findCvm(store.cvms, "ws_1", "same-name").id).to.equal(own.id);
  });
});
