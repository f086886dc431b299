"""Speaks for PyPI's phala-cloud: one request per line of stdin, one answer per line of stdout.

Nothing is translated: the method is the client's own of that name in snake case, its parameters and its result are
passed on as they are.
"""

import json
import re
import socket
import sys
from importlib.metadata import version as version_of

import phala_cloud
from pydantic import BaseModel

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
connect = socket.socket.connect


def connect_to_loopback(self, address):
    """No test may pass or fail because of a server elsewhere."""
    if isinstance(address, tuple) and address[0] not in LOOPBACK:
        raise ConnectionError(f"The client tried to reach {address[0]}.")
    return connect(self, address)


socket.socket.connect = connect_to_loopback


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = run(**{key: request.get(key) for key in ("kind", "method", "parameters", "apiKey", "baseUrl", "version")})
        except Exception as error:
            reply = {"error": describe(error)}
        print(json.dumps({"id": request["id"], **reply}, default=plain), flush=True)


def run(kind, method, parameters, apiKey, baseUrl, version):
    name = snake(method)
    if kind == "api":
        options = {"version": version} if version else {}
        with phala_cloud.create_client(api_key=apiKey, base_url=baseUrl, **options) as client:
            action = getattr(client, name, None)
            if action is None:
                return missing(name)
            return {"value": action() if parameters is None else action(parameters)}
    action = getattr(phala_cloud, name, None)
    if action is None:
        return missing(name)
    if kind == "webhook":
        parsed = action(**{snake(key): value for key, value in parameters[0].items()})
        return {"value": attributes(parsed)}
    return {"value": action(**parameters) if isinstance(parameters, dict) else action(*parameters)}


def snake(name):
    return re.sub("([A-Z])", lambda match: "_" + match[1].lower(), name)


def attributes(value):
    """A webhook event is an object with slots, which JSON does not know."""
    slots = [slot for slot in getattr(value, "__slots__", ()) if not slot.startswith("_")]
    return {slot: getattr(value, slot) for slot in slots} if slots else value


def missing(name):
    return {"missing": f"phala-cloud {version_of('phala-cloud')} has no {name}"}


def describe(error):
    detail = getattr(error, "detail", None)
    structured = detail if isinstance(detail, dict) else {}
    return {
        "name": type(error).__name__,
        "message": str(error),
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "error_code", None) or structured.get("error_code"),
        "detail": detail,
    }


def plain(value):
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


main()
