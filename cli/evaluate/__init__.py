"""`lunula eval ...`: measures against labelled data; tables, charts and pages."""
