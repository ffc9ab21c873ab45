"""The HTTP that gateway and console share: problems, replies, request bodies, connections, and serving."""
