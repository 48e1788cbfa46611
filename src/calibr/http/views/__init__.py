"""The shapes of answers: frozen dataclasses, written out as they are, and described in the OpenAPI document."""
