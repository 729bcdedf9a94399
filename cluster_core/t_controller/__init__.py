"""T-Controller: states of the DNs and agents that this node owns, joined to every other T-Controller (seed)."""

from cluster_core.t_controller.controller import TController

__all__ = ["TController"]
