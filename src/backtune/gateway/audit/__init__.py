"""The audit log, in which every entry is bound to all entries before it."""
