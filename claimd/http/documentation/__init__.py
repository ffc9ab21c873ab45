"""The OpenAPI document of a port, and the page for reading it: encoded once a process, revalidated by their ETag."""
