"""With root: real mounts, namespaces, cgroups and containers."""
