"""Whether what the rows of a build say is true, by what did not write them; `data_prep.check_truth`
is the command."""
