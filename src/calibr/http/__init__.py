"""The REST API: wiring only. Rules live in the features that it calls."""

from calibr.http.factory import build_api
from calibr.http.services import ApiServices

__all__ = ["ApiServices", "build_api"]
