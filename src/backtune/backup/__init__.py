"""Copies of the databases that are not made again by themselves: the gateway's records, and the tracker's."""
