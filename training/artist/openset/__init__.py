"""The unknown class and few-shot artists: trials in which known artists are held out."""
