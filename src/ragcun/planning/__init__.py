"""Estimates of time, memory, disk and cost, and checks of this machine."""
