import { buildModule } from "@nomicfoundation/hardhat-ignition/modules";

/**
 * One key management service with its app factory: both implementations, and the KMS proxy initialised in its
 * constructor, so that no other account can claim it between two transactions.
 *
 * Parameter `owner`: owner of the KMS, by default the deploying account.
 */
export default buildModule("DstackKms", (m) => {
  const owner = m.getParameter("owner", m.getAccount(0));
  const appImplementation = m.contract("DstackApp", [], { id: "DstackAppImplementation" });
  const kmsImplementation = m.contract("DstackKms", [], { id: "DstackKmsImplementation" });
  const proxy = m.contract(
    "ERC1967Proxy",
    [kmsImplementation, m.encodeFunctionCall(kmsImplementation, "initialize", [owner, appImplementation])],
    { id: "DstackKmsProxy" },
  );
  return { kms: m.contractAt("DstackKms", proxy, { id: "DstackKms" }), appImplementation };
});
