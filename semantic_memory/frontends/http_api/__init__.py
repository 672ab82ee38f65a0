"""The memory over HTTP: the verbs as routes, keys, limits, and errors as problem documents."""
