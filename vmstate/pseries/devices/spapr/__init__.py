"""The machine itself: ``spapr``, its hash table, clock, connectors and watchdogs."""
