"""Requests of a program that knows the password, and of one that does not."""

import json
import urllib.request
from typing import Any
from uuid import uuid4

from flows.operations.login import Login


def ask(
    address: str, body: Any = None, login: Login | None = None, method: str | None = None, timeout: float = 120
) -> str:
    """The text that a server answers. Raises ``HTTPError`` where it refuses.

    What changes something in Prefect needs a token, which is for whoever has the password.
    """
    headers = {"Content-Type": "application/json"}
    if login:
        headers["Authorization"] = f"Basic {login.basic}"
    if body is not None and login and "/mlflow/" not in address:
        client = str(uuid4())
        asked = f"{address.partition('/api/')[0]}/api/csrf-token?client={client}"
        headers["Prefect-Csrf-Client"] = client
        headers["Prefect-Csrf-Token"] = json.loads(ask(asked, login=login))["token"]
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return str(answer.read().decode())
