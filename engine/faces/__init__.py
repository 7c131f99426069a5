"""The verbs of `Engine`, by theme: each module is one part of the class, each method imports its command when it is
called. A new verb goes where its neighbours are; `engine.engine` puts the parts together.
"""
