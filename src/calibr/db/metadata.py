"""The one MetaData that the typed tables of all features hang on."""

from sqlalchemy import MetaData

SCHEMA = "calibr"

metadata = MetaData(schema=SCHEMA)
