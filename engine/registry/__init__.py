"""Registries over HTTP: the OCI distribution client, who may speak to them (credentials), where they are (settings).

Knows nothing of the store: manifests are bytes, blobs are streams.
"""
