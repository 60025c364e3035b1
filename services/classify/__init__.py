"""ClassifyService: names the artist of a design from its photo, its text, or both (paper A).

`features/` runs the models on one work, `enrolment/` keeps few-shot artists, `identify/` turns features into
calibrated candidates and the evidence for them. `servicer` answers the calls, `messages` translates between
protobuf and plain objects, `validation` checks what callers send, `build` puts the service together.
"""
