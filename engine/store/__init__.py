"""Everything Strata keeps: blobs, layers, images and containers, as plain files under one root.

`Store(root)` is the way in; `store.blobs`, `.layers`, `.images` and `.containers` own one directory each. Invariants
(DESIGN.md): a name in its final place is whole; everything is either referenced or garbage, and which is derivable
(`gc.py`); locks are flocks. Locks are taken in one order: images, then containers, then a single container's.
"""
