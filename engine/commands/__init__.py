"""What each verb does: policy over the store, the layers and the runtime, one file a verb.

A command takes a `Context` (the store and, when something has to be started, a launcher) and plain values,
returns plain values, and raises the errors of `engine.errors`. It prints nothing: words are `app`'s.
"""
