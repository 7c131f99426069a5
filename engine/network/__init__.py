"""The network of containers: what links and addresses a network namespace holds."""
