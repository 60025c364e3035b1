"""RankService: the catalogue of designs and the search over it.

`servicer` translates between messages and domain objects; `catalogue`, `store` and `milvus` hold the vectors;
`ingest` brings designs in, `search` finds them; `blobs` keeps the photos.
"""
