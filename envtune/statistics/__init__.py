"""How certain a mean is: intervals, paired differences, estimates over seeds. Numbers only."""
