"""Clients of CropService and EmbedService: plain values in and out, errors with the caller's paths."""
