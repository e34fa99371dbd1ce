"""Scenarios: disputed questions as files, with configurations, the question, and the outcome."""
