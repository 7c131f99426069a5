"""Files into and out of a container, by descriptors inside its root only: what `cp` stands on.

    visit     the command's side: one visit to a container's files, by way of a helper process
    helper    that process: single-threaded, with everything imported before it looks at a container
    view      the container's root as the helper sees it: its overlay, in a mount namespace of the helper's own
    lookup    paths of the container, resolved by the kernel inside that root
    gather    files → a tar stream, from either side
    place     a tar stream → files, on either side

What travels is a tar stream. Nothing of a container is ever looked up by path as the host's root sees it, and on both
sides no symlink on a member's way is followed (moby CVE-2018-15664, 2026-41568).
"""
