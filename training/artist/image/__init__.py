"""Artist from the photo: frozen features, the trained head, and the VGG16 and control experiments."""
