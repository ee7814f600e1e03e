"""CPythons of this machine, and the targets that wheels name."""
