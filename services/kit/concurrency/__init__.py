"""Concurrency without nail knowledge: threads, joined tasks, batching by key, keyed locks, lazy values."""
