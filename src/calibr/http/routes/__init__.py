"""The routers, one file per feature. A handler reads as its permission, its input and one call of the feature."""

from calibr.http.routes import (
    audit,
    authorization,
    catalog,
    connections,
    drift,
    events,
    hooks,
    operations,
    plans,
    price_changes,
    subscriptions,
    tenancy,
)

ROUTERS = (
    operations.router,
    tenancy.router,
    connections.router,
    hooks.router,
    authorization.router,
    catalog.router,
    price_changes.router,
    drift.router,
    plans.router,
    audit.router,
    events.router,
    subscriptions.router,
)

TAGS = [
    {"name": "operations", "description": "Health, metrics and this document: no token needed."},
    {"name": "access", "description": "Who you are, users and tokens."},
    {"name": "connections", "description": "Links to stores, and their syncs."},
    {"name": "catalog", "description": "Products, price lists and prices, as the stores have them."},
    {"name": "price changes", "description": "From a rule to a plan, an approval, an apply run and back."},
    {"name": "drift", "description": "Prices that somebody else changed, and what is decided about them."},
    {"name": "webhooks in", "description": "What stores send by themselves."},
    {"name": "events", "description": "The event log, as a list and as a stream, and who else gets it."},
    {"name": "audit", "description": "What happened, and the schemas of what is stored about it."},
]
