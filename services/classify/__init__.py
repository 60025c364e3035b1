"""ClassifyService: says whose work a design is, from its photo, its words, or both.

`reading` asks the models about one work, `text_model` is the one of the words, `calibration` and `identify`
make probabilities and candidates of it (paper A). `enrol`, `enrolment` and `records` add artists without
training, measured against `references`; `listing` lists them. `evidence` and `label_evidence` are for people
to look at. `validate` checks, `messages` and `servicer` translate.
"""
