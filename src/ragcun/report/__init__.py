"""Tables in the forms that readers and programs want, from result files; needs no model and no GPU."""
