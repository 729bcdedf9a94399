"""The version that a server names in EventServerInfo."""

SERVER_VERSION = "0.1.0"
