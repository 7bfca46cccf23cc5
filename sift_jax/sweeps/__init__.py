"""Several runs that answer a question together: trainings and evaluations as processes, and a
page."""
