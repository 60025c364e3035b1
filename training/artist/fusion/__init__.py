"""Image and text probabilities into one: rules, temperature, trees."""
