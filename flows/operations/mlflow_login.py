"""Who may talk to MLflow's server: MLflow's own check of the password, for its own pages and for programs only.

A browser that was asked for the password sends it with every request to the server, also with one that another page
makes, and MLflow lets pages of every port of this machine make them. So requests of other pages are refused here.
MLflow calls ``authenticate`` before each request that needs a login (``authorization_function`` of its config).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def of_another_page(headers: Mapping[str, str], allowed: str = "") -> bool:
    """A page of another origin makes the request. Following a link to us is no such request; sending a form is.

    ``allowed`` lists further origins, which a reverse proxy may have.
    """
    origin = headers.get("Origin")
    if origin is not None:
        listed = [item.strip() for item in allowed.split(",")]
        return origin not in listed and urlsplit(origin).netloc != headers.get("Host")
    outside = headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    return outside and headers.get("Sec-Fetch-Mode") != "navigate"


def authenticate() -> Any:
    """The login of the request that Flask handles at the moment, or a response that refuses it."""
    from flask import Response, request
    from mlflow.environment_variables import MLFLOW_SERVER_CORS_ALLOWED_ORIGINS
    from mlflow.server.auth import authenticate_request_basic_auth

    if of_another_page(dict(request.headers), MLFLOW_SERVER_CORS_ALLOWED_ORIGINS.get() or ""):
        return Response("a page of another origin may not ask this", status=403)
    return authenticate_request_basic_auth()
