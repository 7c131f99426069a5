"""The explorer: images and containers as pictures that live. The only place where textual and rich are imported."""
