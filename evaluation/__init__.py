"""Metrics of the five papers and the tables that they fill.

Pure functions over arrays; nothing here trains, serves, or reads the network.
"""
