"""`basicsr study`: option files with several seeds, trained one after the other, in a table and plots.

plan.py says what is to be run, scaling.py makes it shorter, running.py runs it in child processes (child.py),
results.py keeps what came out, and table.py, plots.py and report.py tell it. This room stands on `training`.
"""
