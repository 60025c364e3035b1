"""Artist from the text: fastText, Word2Vec, Doc2Vec, TF-IDF."""
