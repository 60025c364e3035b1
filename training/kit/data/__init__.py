"""What is learnt from: synthetic photos, augmented crops, cached features, sentences, mined pairs."""
