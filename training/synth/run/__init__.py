"""A folder of images: the parallel writer, its lists and its index; the contact sheet and the sample."""
