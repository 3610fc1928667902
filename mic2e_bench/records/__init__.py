"""What a trial left: the record, its folder, the frame, and what may be compared with what."""
