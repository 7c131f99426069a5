"""What a layer means: its entries, whiteouts and opaque directories; tar in, tar out, diff, and the merged view.

    entry      Entry, one path of one layer, and Entries, all of a layer, looked up by path and by directory
    whiteouts  "this is gone" in the kernel's form and in the archive's, and which attributes a layer keeps
    index      a layer's entries on disk, written once
    tar        the members of an archive, streaming, with the digest of the whole stream
    headers    the archive format both ways: header blocks, numbers, pax records
    sparse     the maps of sparse files in archives
    unpack     an archive → a layer's directory, by directory descriptors
    names      what an archive may call its members
    tree       what unpack has made so far, and the descriptors of its directories
    pack       a layer's directory → an archive, the same bytes every time
    scan       a layer's directory → its entries
    view       the one filesystem that a stack of layers adds up to, and where each path of it comes from
    provenance what each layer has to do with one path, and why
    diff       what a layer changes of the view below it

Import the file you need: nothing is loaded by importing this package.
"""
