import json
import subprocess

import pytest


@pytest.fixture(scope="session")
def world():
    """A local world: `dstack up --json` prints one object when everything is up, and stops on SIGTERM."""
    command = ["node", "node_modules/hardhat/dist/src/cli.js", "dstack", "up", "--json", "--chain-port=0", "--cloud-port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    answer = json.loads(line) if line else {"error": {"message": "it printed nothing"}}
    if "error" in answer:
        pytest.fail(f"dstack up ended with exit code {process.wait()}: {answer['error']['message']}")
    yield answer
    process.terminate()
    assert process.wait(timeout=30) == 0
