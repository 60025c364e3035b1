"""The only protobuf messages that the kit makes and reads: errors and the `info` of a response."""
