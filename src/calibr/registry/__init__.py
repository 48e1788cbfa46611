"""Loads the JSON Schemas of the project and judges documents by them."""

from calibr.registry.catalog import Registry, json_path, load_registry, read_registry, schema_folder, schema_id

__all__ = ["Registry", "json_path", "load_registry", "read_registry", "schema_folder", "schema_id"]
