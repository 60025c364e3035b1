"""A request on its way out: candidates, exact scores, fusion, explanation, pages."""
