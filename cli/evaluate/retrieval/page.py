"""Every request of an evaluation with its photo and what was returned before it, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from cli.client.page import inline_jpeg, templates
from cli.evaluate.retrieval.questions import Result


def render_results(results: Sequence[Result], *, shown: int = 6) -> str:
    """One section per request, worst rank first: the photo that was meant, then the first `shown` hits."""
    photos = {
        item.question.design_id: inline_jpeg(item.question.photo.read_bytes(), height=150) for item in results
    }
    worst_first = sorted(results, key=lambda item: -item.rank)
    return templates.get_template("evaluation.html.j2").render(
        results=worst_first, photos=photos, shown=shown
    )
