"""What a caller of the client may see raised."""

from __future__ import annotations

from sandbox.errors import SandboxError


class DaemonError(SandboxError):
    """A daemon cannot be used as configured: its address, the token, what it offers."""
