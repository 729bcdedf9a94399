"""The reference server: sockets, clock, entropy, files and the command line around `cluster_core`."""
