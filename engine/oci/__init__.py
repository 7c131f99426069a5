"""Pure types of the Open Container Initiative and of docker: digests, references, manifests, image configs, times.

Nothing here touches the disk or the kernel. Specifications: OCI image-spec v1.1 (`config.md`, `manifest.md`,
`image-index.md`, `descriptor.md`), docker's image specification v1.2, and `distribution/reference` for names.
Import the module that is meant (`engine.oci.references`): this file imports none, so that `strata run` loads only
what it needs.
"""
