"""`lunula`, the command line: a client of the services like any other.

Starts the whole stack on one machine (`up`, `demo`), fills and searches the catalogue, and shows
what was found as tables and pages. Reaches the services over gRPC only.
"""
