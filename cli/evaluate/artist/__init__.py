"""`lunula eval artist`: paper A's tables, calibration and confusions."""
