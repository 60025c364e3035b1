"""CropService: finds nails and hands in a photo and cuts out the nails of one hand.

`pipeline` is the way of one photo, `models` what the model server is asked, `findings` the plain objects,
`validate` the checks, `servicer` the translation between messages and these.
"""
