"""Vision-language models: what they are asked, where they run (at an endpoint or on this machine), and how
their answers are read."""
