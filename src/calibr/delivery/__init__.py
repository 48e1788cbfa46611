"""Ordered, idempotent delivery of the event log to subscribers: projections, webhooks, JetStream."""
