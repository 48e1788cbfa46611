"""The routers, one file per feature. A handler reads as its permission, its input and one call of the feature."""

from calibr.http.routes import operations, tenancy

ROUTERS = (operations.router, tenancy.router)

TAGS = [
    {"name": "operations", "description": "Health, metrics and this document: no token needed."},
    {"name": "access", "description": "Who you are, users and tokens."},
    {"name": "connections", "description": "Links to stores, and their syncs."},
]
