"""ClassifyService: says whose work a design is, from its photo, its words, or both.

`identify` is the pipeline, `calibration` the arithmetic of probabilities (paper A), `text_model` the fastText
model, `validate` the checks, `servicer` the translation between messages and these.
"""
