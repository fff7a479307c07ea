"""Data processing: the workflows and activities of the guide, as a fleet."""
