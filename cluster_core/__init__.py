"""The rules of the cluster: calls, agents, ownership, event routing, proxies, peer links; does no I/O."""
