"""Schemas: the descriptions of one QEMU, stream or release, as values to compare and to write down."""

from vmstate.schema.as_json import schema_from_json, schema_to_json
from vmstate.schema.declaration import as_declaration, as_description
from vmstate.schema.model import (
    DEFAULT_PRIORITY,
    CompatProperty,
    Description,
    DescriptionFacts,
    FieldFacts,
    Knows,
    Origin,
    Schema,
    SchemaField,
)

__all__ = [
    "DEFAULT_PRIORITY",
    "CompatProperty",
    "Description",
    "DescriptionFacts",
    "FieldFacts",
    "Knows",
    "Origin",
    "Schema",
    "SchemaField",
    "as_declaration",
    "as_description",
    "schema_from_json",
    "schema_to_json",
]
