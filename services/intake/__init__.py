"""The door that photos and batches come in by, shared by the services that take photos.

`photos` turns a `Photo` message into pixels, `uris` reads the places a server may read from, `threads` holds
the work that is not async, `items` runs batches and streams in which a bad item fails alone.
"""
