"""EmbedService: turns designs and requests into vectors of one space, and names the space.

`servicer` answers the calls, `messages` translates between protobuf and plain objects and checks them,
`designs` and `queries` are the pipelines of one design and one request, `text_encoder` encodes sentences,
`spaces` holds the fingerprints of the vector spaces, `build` puts the service together.
"""
