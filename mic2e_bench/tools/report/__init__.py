"""`report`: the page of studies, by pipeline, the answer first."""
