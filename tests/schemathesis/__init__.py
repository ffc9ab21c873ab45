"""Requests that schemathesis makes from the OpenAPI documents, sent to both doors of a gateway and to a console."""
