"""Changes of a stream that make a destination accept it: proposed, ranked, proved by loading."""
