"""What both sides, gateway and console, say in HTTP: problems, replies, bodies, and how they are served."""
