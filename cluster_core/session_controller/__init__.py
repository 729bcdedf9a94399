"""Session Controller: the calls that this node processes, from the first INVITE to the last BYE (seed)."""

from cluster_core.session_controller.controller import SessionController

__all__ = ["SessionController"]
