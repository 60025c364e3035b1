"""CropService: finds nails and hands in a photo and cuts out the nails of one hand.

`servicer` answers the calls, `messages` translates between protobuf and plain objects and checks them,
`pipeline` processes one photo, `models` runs the models, `results` holds the plain objects, `build` puts the
service together.
"""
