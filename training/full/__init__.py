"""The full encoders: published models behind the interface and the tensors of the compact ones.

Networks with random weights need no download; published weights are files that a person fetched, checked
against `pins.toml` before torch reads them. See docs/encoders.md.
"""
