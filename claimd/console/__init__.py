"""The operators' side: rounds, audits, exports, metrics. A process of its own, to delay no claim."""
