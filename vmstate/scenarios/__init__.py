"""Questions that were argued about, as files: configurations, what was asked, and what comes out."""
