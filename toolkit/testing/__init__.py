"""Loopback servers that speak the wire of the outside world, with faults on demand: a kit for tests and benchmarks."""
