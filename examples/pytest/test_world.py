import json
import urllib.request


def get(world, path):
    environment = world["environment"]
    request = urllib.request.Request(
        environment["PHALA_CLOUD_API_PREFIX"] + path,
        headers={"x-api-key": environment["PHALA_CLOUD_API_KEY"]},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def call(world, method, *params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(world["rpcUrl"], body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)["result"]


def test_the_cvm_runs(world):
    assert get(world, "/cvms/onchain-app")["status"] == "running"


def test_its_app_is_a_contract_of_the_chain(world):
    assert int(call(world, "eth_chainId"), 16) == world["chainId"]
    assert call(world, "eth_getCode", world["cvms"]["onChain"]["appId"], "latest") != "0x"
