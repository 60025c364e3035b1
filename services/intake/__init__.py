"""Photos, texts and batches as they arrive, shared by the services that take photos.

`photos` decodes a photo from bytes or a URI within limits, `uris` reads the places a server may read from,
`texts` checks lengths, `items` runs batches and streams in which a bad item fails alone, `model_io` adds and
removes the batch axis, `messages` translates photos and palettes between protobuf and plain objects.
"""
