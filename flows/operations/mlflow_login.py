"""The login check of MLflow's server, which also refuses requests of other web pages. It runs in MLflow's process.

A browser that has the password sends it with every request to the server, also with requests of other pages, and MLflow
accepts requests of pages from any port of this machine. So they are refused here. MLflow calls ``authenticate`` before
each request that needs a login (``authorization_function`` of its config).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def of_another_page(headers: Mapping[str, str], allowed: str = "") -> bool:
    """Whether a page of another origin made the request. Its forms count; links that a person follows do not.

    ``allowed`` lists our other origins, such as that of a reverse proxy, separated by commas.
    """
    origin = headers.get("Origin")
    if origin is not None:
        listed = [item.strip() for item in allowed.split(",")]
        return origin not in listed and urlsplit(origin).netloc != headers.get("Host")
    outside = headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    return outside and headers.get("Sec-Fetch-Mode") != "navigate"


def authenticate() -> Any:
    """The login of Flask's current request, or a response that refuses the request."""
    from flask import Response, request
    from mlflow.environment_variables import MLFLOW_SERVER_CORS_ALLOWED_ORIGINS
    from mlflow.server.auth import authenticate_request_basic_auth

    if of_another_page(dict(request.headers), MLFLOW_SERVER_CORS_ALLOWED_ORIGINS.get() or ""):
        return Response("requests of pages of another origin are refused", status=403)
    return authenticate_request_basic_auth()
