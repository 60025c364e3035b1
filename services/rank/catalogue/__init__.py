"""The catalogue: versions behind an alias, their collections and rows in Milvus, and filters over them."""
